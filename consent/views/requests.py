"""The page of one request: its state, its parts, its receipt, and what the person can still do."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.personal_data import processors
from consent.forms import AgentCodeForm, AnswerForm, CodeForm, FileForm
from consent.links import download_path, public_id_of, public_id_of_download
from consent.models import DataSubjectRequest, RequestPart
from consent.record_words import counted_words, in_words
from consent.request_states import FINAL, OPEN, TRANSITIONS, UNDER_WAY, InvalidTransition
from consent.request_texts import KIND_TEXTS, PART_TEXTS, STATE_TEXTS
from consent.selectors.holdings import told
from consent.services.agent_requests import agent_may_fetch, agent_refused
from consent.services.archives import open_archive
from consent.services.challenges import ChallengeFailed, TooManyLetters, challenge_answer, challenge_renew
from consent.services.request_papers import MAX_FILE_BYTES, file_add
from consent.services.requests import request_answer, request_cancel
from consent.views.papers import as_download

State, Source = DataSubjectRequest.State, DataSubjectRequest.Source


def _found(token: str) -> DataSubjectRequest:
    public_id = public_id_of(token)
    found = (
        DataSubjectRequest.all_stores.select_related("store", "customer")
        .defer("archive")
        .filter(public_id=public_id)
        .first()
        if public_id
        else None
    )
    if found is None:
        raise Http404("There is no such request.")
    return found


def _parts(asked: DataSubjectRequest) -> list[dict[str, Any]]:
    labels = {each.name: told(each.label) for each in processors()} | {"profile": _("Your profile")}
    return [
        {
            "name": part.processor,
            "label": labels.get(part.processor, part.processor),
            "state": part.state,
            "text": PART_TEXTS[part.state],
            "finished_at": part.finished_at if part.state == RequestPart.State.DONE else None,
            "lines": _lines(part.report),
        }
        for part in asked.parts.defer("output")
    ]


def _lines(report: dict[str, Any]) -> list[str]:
    """What a part did, a sentence each. Names of things are the processors' own words."""
    lines = [
        _("Erased: %(what)s, %(count)s") % {"what": counted_words(what), "count": count}
        for what, count in report.get("deleted", {}).items()
    ]
    lines += [
        _("Cut off from you: %(what)s, %(count)s") % {"what": counted_words(what), "count": count}
        for what, count in report.get("anonymised", {}).items()
    ]
    changed = {capfirst(counted_words(what)): count for what, count in report.get("changed", {}).items()}
    copied = {in_words(what): count for what, count in report.get("rows", {}).items()}
    lines += [f"{what}: {count}" for what, count in (changed | copied).items() if count]
    for kept in report.get("kept", []):
        words = {
            "what": counted_words(kept["what"]),
            "count": kept["count"],
            "reason": told(kept["reason"]),
            "until": _day(kept["until"]),
        }
        lines.append(_("Kept: %(what)s, %(count)s. %(reason)s Erased by %(until)s.") % words)
    return [*lines, *map(told, report.get("notes", []))]


def _day(moment: str | None) -> str:
    return date_format(datetime.fromisoformat(moment), "DATE_FORMAT") if moment else "–"


def _state_json(asked: DataSubjectRequest) -> dict[str, Any]:
    parts = [
        {"name": part["name"], "state": part["state"], "text": str(part["text"])} for part in _parts(asked)
    ]
    return {
        "state": asked.state,
        "text": str(STATE_TEXTS[asked.state]),
        "is_final": asked.state in FINAL,
        "parts": parts,
    }


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def request_page(request: HttpRequest, token: str) -> HttpResponse:
    asked = _found(token)
    if request.method == "POST":
        return _act(request, asked, token)
    if "application/json" in request.headers.get("Accept", ""):
        return JsonResponse(_state_json(asked))
    return _page(request, asked, token)


def _page(
    request: HttpRequest, asked: DataSubjectRequest, token: str, status: int = 200, **forms: Any
) -> HttpResponse:
    has_archive = (
        asked.kind == DataSubjectRequest.Kind.ACCESS
        and asked.archive_expires_at is not None
        and open_archive(asked) is not None
    )
    context = {
        "asked": asked,
        "store": asked.store,
        "text": KIND_TEXTS[asked.kind],
        "state_text": STATE_TEXTS[asked.state],
        "parts": _parts(asked),
        "token": token,
        "is_under_way": asked.state in UNDER_WAY,
        "may_cancel": State.CANCELLED in TRANSITIONS[asked.state],
        "question": asked.private.get("question", "") if asked.state == State.REQUIRES_INPUT else "",
        "download_url": download_path(asked) if has_archive else "",
        "code_form": forms.get("code_form") or _code_form(asked),
        "agent": asked.agent,
        "has_code": asked.source != Source.AGENT or _has_code(asked),
        "review": asked.private.get("review", "") if asked.reviewed_at else "",
        "answer_form": forms.get("answer_form") or AnswerForm(),
        "papers": _papers(asked, token),
        "file_form": (forms.get("file_form") or FileForm())
        if asked.state in OPEN - {State.IDENTITY_UNVERIFIED}
        else None,
    }
    response = render(request, "privacy/request.html", context, status=status)
    # The address of this page is its key: no other site may learn it from a link. Our own must: with no referrer at all browsers
    # send forms from "null", which the protection against forged requests refuses.
    response["Referrer-Policy"] = "same-origin"
    return response


def _code_form(asked: DataSubjectRequest, data: Any = None) -> CodeForm:
    is_agents_access = asked.source == Source.AGENT and asked.kind == DataSubjectRequest.Kind.ACCESS
    return AgentCodeForm(data) if is_agents_access else CodeForm(data)


def _has_code(asked: DataSubjectRequest) -> bool:
    """Whether the person has asked for the code by which they confirm their agent."""
    return asked.state == State.IDENTITY_UNVERIFIED and asked.challenge.sent_count > 0


def _shows_papers(asked: DataSubjectRequest) -> bool:
    """Not before it is proved who asks; but only the person has the address of a page about a request in their name."""
    return asked.state != State.IDENTITY_UNVERIFIED or asked.source == Source.AGENT


def _papers(asked: DataSubjectRequest, token: str) -> list[dict[str, Any]]:
    """Files of the person, and those that staff shares with them."""
    if not _shows_papers(asked):
        return []
    return [
        {
            "name": paper.private["name"],
            "url": reverse("consent:paper", args=[token, paper.public_id]),
            "added_at": paper.created_at,
            "is_staffs": paper.is_staffs,
        }
        for paper in asked.papers.filter(is_shared=True, content__isnull=False).defer("content")
    ]


@never_cache
@require_safe
def paper(request: HttpRequest, token: str, public_id: UUID) -> HttpResponse:
    """A file of the request that the person may see."""
    asked = _found(token)
    found = (
        asked.papers.filter(public_id=public_id, is_shared=True, content__isnull=False).first()
        if _shows_papers(asked)
        else None
    )
    if found is None:
        raise Http404("There is no such file.")
    response = as_download(found)
    response["Referrer-Policy"] = "same-origin"
    return response


def _act(request: HttpRequest, asked: DataSubjectRequest, token: str) -> HttpResponse:
    """What the person does on the page: prove the address, ask for a new code, answer, withdraw."""
    action = request.POST.get("action")
    try:
        if action == "code" and asked.state == State.IDENTITY_UNVERIFIED:
            form = _code_form(asked, request.POST)
            if not form.is_valid():
                return _page(request, asked, token, status=400, code_form=form)
            try:
                challenge_answer(request=asked, code=form.cleaned_data["code"])
            except ChallengeFailed as error:
                form.add_error("code", str(error))
                return _page(request, asked, token, status=400, code_form=form)
            if form.cleaned_data.get("may_fetch"):
                agent_may_fetch(request=asked)
        elif action == "refuse":
            agent_refused(request=asked)
        elif action == "renew" and asked.state == State.IDENTITY_UNVERIFIED:
            try:
                challenge_renew(request=asked)
                messages.success(request, _("We have mailed a new code."))
            except TooManyLetters as error:
                messages.error(request, str(error))
        elif action == "answer" and asked.state == State.REQUIRES_INPUT:
            answer = AnswerForm(request.POST)
            if not answer.is_valid():
                return _page(request, asked, token, status=400, answer_form=answer)
            request_answer(request=asked, answer=answer.cleaned_data["answer"])
        elif action == "file":
            files = FileForm(request.POST, request.FILES)
            if not files.is_valid():
                return _page(request, asked, token, status=400, file_form=files)
            given = files.cleaned_data["file"]
            try:
                file_add(request=asked, name=given.name, content=given.read(MAX_FILE_BYTES + 1))
            except ValidationError as error:
                files.add_error("file", error)
                return _page(request, asked, token, status=400, file_form=files)
            messages.success(request, _("Your file has arrived."))
        elif action == "cancel":
            request_cancel(request=asked)
    except InvalidTransition:
        messages.error(request, _("It is too late for that: the request has moved on."))
    return redirect("consent:request", token=token)


@never_cache
@require_safe
def download(request: HttpRequest, token: str) -> HttpResponse:
    """The export, for as long as the signed link and the export itself last."""
    public_id = public_id_of_download(token)
    asked = (
        DataSubjectRequest.all_stores.select_related("store").filter(public_id=public_id).first()
        if public_id
        else None
    )
    archive = open_archive(asked) if asked is not None else None
    if asked is None or archive is None:
        raise Http404("This link has expired. Open the page of your request for a new one.")
    return as_archive(asked, archive)


def as_archive(asked: DataSubjectRequest, archive: bytes) -> HttpResponse:
    response = HttpResponse(archive, content_type="application/zip")
    response["Content-Disposition"] = f'attachment; filename="my-data-{asked.store.slug}.zip"'
    response["X-Content-Type-Options"] = "nosniff"
    return response
