"""Letters, copies and receipts in the language of the request, whoever carries it out."""

from __future__ import annotations

import io
import zipfile

from django.test import Client
from django.utils import translation

from accounts.models import Customer, Store
from accounts.personal_data import Subject
from consent.links import request_path
from consent.models import DataSubjectRequest
from consent.purposes import ALL
from consent.services.archives import open_archive
from consent.services.decisions import Decision, decision_record
from consent.services.request_processing import process_now
from consent.services.requests import request_open
from tests.consent.conftest import Sent

Kind = DataSubjectRequest.Kind


def asked(store: Store, customer: Customer, kind: str, language: str) -> DataSubjectRequest:
    subject = Subject(
        store=store, customer=customer, user_ids=(customer.external_id,), emails=("ann@example.org",)
    )
    return request_open(subject=subject, kind=kind, source="account", language=language)


def test_letters_follow_the_request(store: Store, customer: Customer, sent: Sent) -> None:
    asked(store, customer, Kind.OBJECTION, "de")
    asked(store, customer, Kind.RESTRICTION, "fr")
    letters = sent()
    german = next(letter for letter in letters if "Art. 21 DSGVO" in letter)
    french = next(letter for letter in letters if "art. 18 du RGPD" in letter)
    assert german.startswith("Ihr Antrag an Tents & Co ist eingegangen\nGuten Tag,")
    assert "Widerspruch gegen Profiling (Art. 21 DSGVO)" in german
    assert french.startswith("Nous avons reçu votre demande à Tents & Co\nBonjour,")
    assert "Droit à la limitation du traitement (art. 18 du RGPD)" in french


def test_a_copy_follows_the_request_and_its_files_stay_for_programs(
    store: Store,
    customer: Customer,
    settings,
    tmp_path,  # type: ignore[no-untyped-def]
) -> None:
    settings.ETALAGE_ANCHOR_DIR = tmp_path
    decision_record(store=store, decision=Decision(ALL, "accept", customer=customer))
    request = asked(store, customer, Kind.ACCESS, "de")
    with translation.override("fr"):  # the worker's language is nobody's
        process_now(request)
    archive = zipfile.ZipFile(io.BytesIO(open_archive(request) or b""))
    page = archive.read("index.html").decode()
    assert '<html lang="de">' in page
    assert "Ihre Daten bei Tents &amp; Co" in page
    assert '<th scope="col">Entschieden am</th>' in page
    assert b"decided_at" in archive.read("csv/consent-consent_history.csv")


def test_a_receipt_is_read_in_the_language_of_the_page(
    client: Client,
    store: Store,
    customer: Customer,
    settings,
    tmp_path,  # type: ignore[no-untyped-def]
) -> None:
    settings.ETALAGE_ANCHOR_DIR, settings.ETALAGE_STOREFRONT_STORE = tmp_path, "tents"
    decision_record(store=store, decision=Decision(ALL, "accept", customer=customer))
    request = asked(store, customer, Kind.ERASURE, "en")
    process_now(request)
    page = client.get(request_path(request), headers={"Accept-Language": "de"}).content.decode()
    assert "Gelöscht: Einwilligungsnachweise, 1" in page
    assert "Die Kette der Protokolle behält eine Prüfsumme" in page
    english = client.get(request_path(request), headers={"Accept-Language": "en"}).content.decode()
    assert "Erased: proofs of consent, 1" in english
