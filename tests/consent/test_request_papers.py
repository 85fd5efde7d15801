"""The folder of a request: sealed, told by its first bytes, opened by those who may, gone with the person."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Customer, Role, Store, StoreMembership, User
from accounts.personal_data import processor
from accounts.selectors.identity import subject_of
from consent.links import request_path
from consent.models import AuditEntry, DataSubjectRequest, RequestPaper
from consent.privacy import REQUEST_DAYS, expire_requests
from consent.request_states import InvalidTransition
from consent.services.request_papers import MAX_FILE_BYTES, MAX_PAPERS, file_add, note_add
from consent.services.request_processing import process_now
from consent.services.requests import request_approve, request_cancel, request_open
from storefront.services.account import account_open

PDF = b"%PDF-1.7\nmy power of attorney"
Kind = DataSubjectRequest.Kind


@pytest.fixture(autouse=True)
def _the_shop(settings, tmp_path) -> None:  # type: ignore[no-untyped-def]
    settings.ETALAGE_STOREFRONT_STORE = "tents"
    settings.ETALAGE_ANCHOR_DIR = tmp_path


@pytest.fixture
def ann(store: Store) -> Customer:
    return account_open(store=store, email="ann@example.org", password="long and secret", name="Ann").customer


@pytest.fixture
def asked(ann: Customer) -> DataSubjectRequest:
    """A correction: it waits for a decision."""
    return request_open(
        subject=subject_of(ann), kind=Kind.RECTIFICATION, source="account", corrections={"city": "Bern"}
    )


@pytest.fixture
def staff(store: Store, officer: User) -> Client:
    officer.is_staff = True
    officer.save()
    StoreMembership.objects.create(store=store, user=officer, role=Role.PRIVACY_OFFICER)
    client = Client()
    client.force_login(officer, backend="django.contrib.auth.backends.ModelBackend")
    return client


def upload(content: bytes, name: str = "attorney.pdf") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def test_what_is_in_the_folder_is_sealed(asked: DataSubjectRequest, officer: User) -> None:
    note_add(request=asked, author=officer, text="She telephoned.")
    file_add(request=asked, name="attorney.pdf", content=PDF)
    note, file = RequestPaper.objects.for_store(asked.store)
    assert (note.private["text"], note.is_shared) == ("She telephoned.", False)
    assert (file.private["name"], file.file, file.size) == ("attorney.pdf", PDF, len(PDF))
    stored = bytes(file.content or b"") + bytes(file.sealed) + bytes(note.sealed)
    assert b"attorney" not in stored
    assert b"telephoned" not in stored


@pytest.mark.parametrize(
    "content, expected",
    [
        (b"", "empty"),
        (b"x" * (MAX_FILE_BYTES + 1), "larger than 5 MB"),
        (b"MZ\x90\x00\x03", "Send a PDF"),
        (b"\xff\xfe\x00", "Send a PDF"),
        (b"PK\x03\x04\x00", "Send a PDF"),
    ],
)
def test_what_is_no_paper_is_refused(asked: DataSubjectRequest, content: bytes, expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        file_add(request=asked, name="innocent.pdf", content=content)
    assert not RequestPaper.all_stores.exists()


def test_a_folder_has_an_end(asked: DataSubjectRequest) -> None:
    for number in range(MAX_PAPERS):
        file_add(request=asked, name=f"{number}.txt", content=b"text")
    with pytest.raises(ValidationError, match="full"):
        file_add(request=asked, name="one more.txt", content=b"text")


def test_the_person_sends_a_file_and_sees_their_own_and_what_is_shared(
    asked: DataSubjectRequest, officer: User
) -> None:
    page, client = request_path(asked), Client()
    assert client.post(page, {"action": "file", "file": upload(PDF)}).status_code == 302
    file_add(request=asked, name="internal.txt", content=b"internal", author=officer)
    shared = file_add(request=asked, name="our letter.txt", content=b"letter", author=officer, is_shared=True)
    note_add(request=asked, author=officer, text="internal note")
    shown = client.get(page).content.decode()
    assert "attorney.pdf" in shown
    assert "our letter.txt" in shown
    assert "internal" not in shown
    got = client.get(f"{page}papers/{shared.public_id}/")
    assert (got.content, got.headers["X-Content-Type-Options"]) == (b"letter", "nosniff")
    assert got.headers["Content-Disposition"].startswith("attachment")
    hidden = RequestPaper.all_stores.get(is_shared=False, size__gt=0)
    assert client.get(f"{page}papers/{hidden.public_id}/").status_code == 404


def test_a_faulty_file_is_told_and_nothing_is_kept(asked: DataSubjectRequest) -> None:
    answer = Client().post(request_path(asked), {"action": "file", "file": upload(b"MZ\x00", "a.pdf")})
    assert answer.status_code == 400
    assert "Send a PDF" in answer.content.decode()
    assert not RequestPaper.all_stores.exists()


def test_a_closed_request_takes_no_more(asked: DataSubjectRequest) -> None:
    request_cancel(request=asked)
    with pytest.raises(InvalidTransition):
        file_add(request=asked, name="late.txt", content=b"late")
    page = Client().post(request_path(asked), {"action": "file", "file": upload(PDF)}, follow=True)
    assert "It is too late for that" in page.content.decode()
    assert not RequestPaper.all_stores.exists()


def test_officers_add_and_open_and_are_recorded(staff: Client, asked: DataSubjectRequest) -> None:
    def folder(what: str) -> str:
        return reverse("admin:consent_datasubjectrequest_folder", args=[asked.pk, what])

    staff.post(folder("note"), {"text": "Identity seen by video."})
    staff.post(folder("file"), {"file": upload(PDF)})
    staff.post(folder("file"), {"file": upload(b"MZ\x00")})
    assert RequestPaper.all_stores.count() == 2
    page = staff.get(reverse("admin:consent_datasubjectrequest_change", args=[asked.pk])).content.decode()
    assert "Identity seen by video." in page
    file = RequestPaper.all_stores.get(size__gt=0)
    opened = staff.get(reverse("admin:consent_datasubjectrequest_paper", args=[asked.pk, file.public_id]))
    assert opened.content == PDF
    assert AuditEntry.objects.for_store(asked.store).filter(action="request.file_read").count() == 1


def test_who_does_not_decide_reads_and_adds_nothing(
    asked: DataSubjectRequest, store: Store, officer: User
) -> None:
    file = file_add(request=asked, name="attorney.pdf", content=PDF, author=officer)
    note_add(request=asked, author=officer, text="Identity seen by video.")
    user = User.objects.create_user("admin@tents.example", is_staff=True)
    StoreMembership.objects.create(store=store, user=user, role=Role.ADMINISTRATOR)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(reverse("admin:consent_datasubjectrequest_change", args=[asked.pk]))
    assert page.status_code == 200
    assert "Identity seen by video." not in page.content.decode()
    url = reverse("admin:consent_datasubjectrequest_paper", args=[asked.pk, file.public_id])
    assert client.get(url).status_code == 403
    add = reverse("admin:consent_datasubjectrequest_folder", args=[asked.pk, "note"])
    assert client.post(add, {"text": "mine"}).status_code == 403
    assert RequestPaper.all_stores.count() == 2


def test_the_copy_of_the_data_has_notes_and_names_of_files(
    asked: DataSubjectRequest, ann: Customer, officer: User
) -> None:
    note_add(request=asked, author=officer, text="She telephoned.")
    file_add(request=asked, name="attorney.pdf", content=PDF)
    tables = {table.name: list(table.rows) for table in processor("consent").export(subject_of(ann))}
    (row,) = tables["requests"]
    assert [(paper["by"], paper["note"], paper["file"]) for paper in row["papers"]] == [
        ("the shop", "She telephoned.", ""),
        ("you", "", "attorney.pdf"),
    ]


def test_an_erasure_empties_every_folder_of_the_person(
    asked: DataSubjectRequest, ann: Customer, officer: User
) -> None:
    file_add(request=asked, name="attorney.pdf", content=PDF)
    erasure = request_open(subject=subject_of(ann), kind=Kind.ERASURE, source="api")
    file_add(request=erasure, name="attorney.pdf", content=PDF)
    process_now(request_approve(request=erasure, actor=officer))
    erasure.refresh_from_db()
    assert erasure.state == DataSubjectRequest.State.COMPLETE
    assert not RequestPaper.all_stores.exists()
    with pytest.raises(ValidationError, match="erased"):
        note_add(request=erasure, author=officer, text="What was it about?")


def test_folders_of_requests_that_were_closed_long_ago_are_emptied(asked: DataSubjectRequest) -> None:
    file_add(request=asked, name="attorney.pdf", content=PDF)
    later = timezone.now() + timedelta(days=REQUEST_DAYS + 1)
    expire_requests(later)
    assert RequestPaper.all_stores.exists()  # it is still open
    request_cancel(request=asked)
    expire_requests(later)
    assert not RequestPaper.all_stores.exists()
