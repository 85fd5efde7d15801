"""The folder of a request in the admin: notes and files, read and added by those who decide."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminTextareaWidget, UnfoldBooleanWidget

from accounts import auditing
from accounts.current_store import staff_user
from consent.models import DataSubjectRequest
from consent.services.request_papers import MAX_NOTE, file_add, note_add
from consent.views.papers import as_download


class NoteForm(forms.Form):
    text = forms.CharField(
        label="Note", max_length=MAX_NOTE, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="For staff. The person gets it with a copy of their data.",
    )  # fmt: skip


class FileForm(forms.Form):
    file = forms.FileField(
        label="File", widget=UnfoldAdminFileFieldWidget, help_text="PDF, PNG, JPEG or text, up to 5 MB."
    )
    is_shared = forms.BooleanField(
        label="The person sees it on the page of the request", required=False, widget=UnfoldBooleanWidget
    )


FORMS: Final[dict[str, type[forms.Form]]] = {"note": NoteForm, "file": FileForm}


def folder(asked: DataSubjectRequest) -> list[dict[str, Any]]:
    """What is in it, oldest first, opened. Whoever is given it may read what the person wrote."""
    papers = asked.papers.select_related("author").defer("content")
    return [{"paper": paper, **paper.private} for paper in papers]


def add_paper(request: HttpRequest, asked: DataSubjectRequest, what: str) -> HttpResponse:
    """POST: put a note or a file into the folder, and go back to the request."""
    if what not in FORMS or request.method != "POST":
        raise Http404(f"Nothing called {what[:20]!r} is put into a folder.")
    form = FORMS[what](request.POST, request.FILES)
    try:
        if not form.is_valid():
            raise ValidationError([error for errors in form.errors.values() for error in errors])
        if what == "note":
            note_add(request=asked, author=staff_user(request), text=form.cleaned_data["text"])
        else:
            given = form.cleaned_data["file"]
            file_add(
                request=asked,
                name=given.name,
                content=given.read(),
                author=staff_user(request),
                is_shared=form.cleaned_data["is_shared"],
            )
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, "It is in the folder.")
    return HttpResponseRedirect(reverse("admin:consent_datasubjectrequest_change", args=[asked.pk]))


def open_paper(request: HttpRequest, asked: DataSubjectRequest, public_id: str) -> HttpResponse:
    """A file, to keep. Whoever opens it is recorded."""
    paper = asked.papers.filter(public_id=public_id, content__isnull=False).first()
    if paper is None:
        raise Http404("There is no such file in this folder.")
    with transaction.atomic():
        auditing.record(
            store=asked.store,
            actor=staff_user(request),
            action="request.file_read",
            target=f"request:{asked.public_id}",
            details={"paper": public_id},
        )
    return as_download(paper)
