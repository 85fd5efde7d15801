"""The folder of a request: notes of those who work on it, and files of both sides. Sealed, and deleted with the person."""

from __future__ import annotations

from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from accounts import auditing
from accounts.models import User
from consent.models import DataSubjectRequest, RequestPaper
from consent.request_states import OPEN, InvalidTransition
from consent.services.request_moves import locked, target_of

MAX_FILE_BYTES: Final = 5 * 1024 * 1024
MAX_PAPERS: Final = 20
MAX_NOTE: Final = 4_000

# Told by their first bytes: what a name or a browser says of a file proves nothing.
_SIGNATURES: Final = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
)


def content_type_of(content: bytes) -> str:
    """PDF, PNG, JPEG or plain text. Raises ValidationError for anything else."""
    for signature, content_type in _SIGNATURES:
        if content.startswith(signature):
            return content_type
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ValidationError(_("Send a PDF, a PNG, a JPEG or a plain text file."))
    return "text/plain; charset=utf-8"


@transaction.atomic
def note_add(*, request: DataSubjectRequest, author: User, text: str) -> RequestPaper:
    """A note for staff. Raises ValidationError for one without words, or too long."""
    if not text.strip():
        raise ValidationError("Write something.")
    if len(text) > MAX_NOTE:
        raise ValidationError(f"At most {MAX_NOTE:,} characters; this has {len(text):,}.")
    current = _folder(request)
    paper = RequestPaper(store_id=current.store_id, request=current, author=author, is_staffs=True)
    paper.private = {"text": text.strip(), "name": "", "content_type": ""}
    paper.save()
    _record(current, author, "request.note_added", paper)
    return paper


@transaction.atomic
def file_add(
    *,
    request: DataSubjectRequest,
    name: str,
    content: bytes,
    author: User | None = None,
    is_shared: bool = False,
) -> RequestPaper:
    """A file of the person (no author), or of staff, who may share it with the person.

    Raises ValidationError for an empty, large or unknown kind of file and for a full folder; InvalidTransition where the
    person's request is closed.
    """
    if not content:
        raise ValidationError(_("The file is empty."))
    if len(content) > MAX_FILE_BYTES:
        raise ValidationError(_("The file is larger than 5 MB."))
    content_type = content_type_of(content)
    current = _folder(request)
    if author is None and current.state not in OPEN:
        raise InvalidTransition(f"A request that is {current.state} takes no more files.")
    paper = RequestPaper(
        store_id=current.store_id,
        request=current,
        author=author,
        is_staffs=author is not None,
        is_shared=is_shared or author is None,
    )
    paper.private = {
        "text": "",
        "name": name.replace("\0", "")[-150:] or "file",
        "content_type": content_type,
    }
    paper.file = content
    paper.save()
    _record(current, author, "request.file_added", paper)
    return paper


def papers_delete(request: DataSubjectRequest) -> int:
    """Empty the folder: the person is erased, or the term is over. Gives the number of papers."""
    count, _by_model = request.papers.all().delete()
    return count


def _folder(request: DataSubjectRequest) -> DataSubjectRequest:
    """The request, locked, with room for one paper more. An erased person's folder stays empty."""
    current = locked(request)
    if current.sealed is None:
        raise ValidationError(_("The person was erased: nothing is kept about them any more."))
    if current.papers.count() >= MAX_PAPERS:
        raise ValidationError(_("The folder of this request is full."))
    return current


def _record(request: DataSubjectRequest, author: User | None, action: str, paper: RequestPaper) -> None:
    auditing.record(
        store=request.store,
        actor=author or "requester",
        action=action,
        target=target_of(request),
        details={"paper": str(paper.public_id), "bytes": paper.size, "shared": paper.is_shared},
    )
