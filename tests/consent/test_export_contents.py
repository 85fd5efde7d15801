"""The contract's list of what a copy holds, looked for in a real copy of somebody who has all of it."""

from __future__ import annotations

import csv
import io
import json
import uuid
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from accounts import auditing
from accounts.models import Customer, Role, Store, Visitor
from accounts.selectors.identity import subject_of
from catalog.models import Product
from consent.models import DataSubjectRequest, OptOut, PurposeText
from consent.selectors.holdings import in_words
from consent.services.archives import open_archive
from consent.services.notices import notice_for
from consent.services.request_processing import process_now
from consent.services.requests import request_open
from recommendations.models import Impression
from recommendations.services.store_defaults import store_defaults_create
from recommendations.serving import browser, store_state
from segments.models import Segment, SegmentMembership
from tests.consent.test_erasure import EMAIL, _installation, person  # noqa: F401 (fixtures)
from tests.factories import BrandFactory, MembershipFactory, UserFactory

# Contract, "Requests", first row: what → the processor and the table in which it stands, and a column that must say something.
CONTENTS = {
    "raw events": ("tracking", "events", "event"),
    "visits": ("tracking", "sessions", "started_at"),
    "orders": ("tracking", "orders", "order_id"),
    "what was ordered": ("tracking", "order_lines", "product_id"),
    "profile": ("accounts", "profile", "customer_id"),
    "name and address": ("accounts", "identifiers", "value"),
    "recent behaviour, as recommendations use it": ("profiles", "profile", "value"),
    "derived segments and their scores": ("segments", "segments", "score"),
    "derived interests and their scores": ("recommendations", "inferred_interests", "share"),
    "recommendations shown": ("recommendations", "recommendations_shown", "product_id"),
    "recipients": ("consent", "recipients", "recipient"),
    "consent history": ("consent", "consent_history", "granted"),
    "what is permitted": ("consent", "permissions", "permitted"),
    "opt-outs": ("consent", "opt_outs", "what"),
    "requests": ("consent", "requests", "kind"),
    "who looked": ("consent", "looks", "what"),
}


@pytest.fixture(autouse=True)
def _fresh_process() -> Iterator[None]:
    """What a process remembers of stores belongs to one test."""
    store_state.forget_all()
    browser.forget_store()
    yield
    store_state.forget_all()


@pytest.fixture
def complete(person: Customer, store: Store) -> Customer:  # noqa: F811
    """What no ingested event gives: a segment with a score, a shelf that was seen, a recipient, an opt-out."""
    visitor = Visitor.objects.for_store(store).get()
    store_defaults_create(store=store)
    store.holdout_share = 0.0
    store.save()
    staff = UserFactory()
    MembershipFactory(user=staff, store=store, role=Role.PRIVACY_OFFICER)
    target = f"customer:{person.public_id}"
    auditing.record(store=store, actor=staff, action="customer.read", target=target)
    Product.objects.for_store(store).filter(external_id="TENT-1").update(
        brand=BrandFactory(store=store, name="Fell & Sons")
    )
    segment = Segment.objects.create(store=store, slug="campers", name="Campers", kind="cluster")
    SegmentMembership.objects.create(
        store=store, segment=segment, customer=person, since=timezone.now(), score=0.25
    )
    Impression.objects.create(
        store=store, request_id=uuid.uuid4(), placement="home", product_id="TENT-1", rank=1, variant="personalised",
        visitor=visitor, customer=person,
    )  # fmt: skip
    notice = notice_for(store, "en")
    PurposeText.all_stores.filter(notice=notice, purpose="sharing").update(recipients=["Ads Ltd, Dublin"])
    cache.clear()  # the notice is kept for half a minute
    # One of long ago: nothing is concluded about whoever has one that stands.
    long_ago = timezone.now() - timedelta(days=90)
    OptOut.objects.create(
        store=store, subject=f"c:{person.external_id}", customer=person, kind="limit", withheld=20,
        since=long_ago, ended_at=long_ago + timedelta(days=1),
    )  # fmt: skip
    return person


@pytest.fixture
def archive(complete: Customer) -> zipfile.ZipFile:
    store_state.forget_all()  # placements made above are told to processes with the commit, which a test never sees
    request = request_open(subject=subject_of(complete), kind="access", source="account")
    process_now(request)
    assert request.state == DataSubjectRequest.State.COMPLETE
    content = open_archive(request)
    assert content is not None
    return zipfile.ZipFile(io.BytesIO(content))


def rows_of(archive: zipfile.ZipFile, processor: str, table: str) -> list[dict[str, Any]]:
    data = json.loads(archive.read("data.json"))["data"]
    rows: list[dict[str, Any]] = data[processor][table]["rows"]
    return rows


def test_nothing_that_the_contract_lists_is_missing(archive: zipfile.ZipFile) -> None:
    page = archive.read("index.html").decode()
    missing = []
    for what, (processor, table, column) in CONTENTS.items():
        rows = rows_of(archive, processor, table)
        if not any(row.get(column) not in (None, "", [], {}) for row in rows):
            missing.append(f"{what}: {processor}.{table}.{column} of {rows[:1]}")
            continue
        lines = list(csv.DictReader(io.StringIO(archive.read(f"csv/{processor}-{table}.csv").decode())))
        assert len(lines) == len(rows), what
        assert column in lines[0], what
        assert f"<h3>{in_words(table)}</h3>" in page, what
    assert not missing, "\n".join(missing)
    assert json.loads(archive.read("data.json"))["missing"] == []
    for value in ("TENT-1", "WF-1", "Campers", "Ads Ltd, Dublin", EMAIL.lower()):
        assert value in page or value in page.lower(), value
