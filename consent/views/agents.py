"""Authorised agents: the form on which they ask, and their page, which tells less than the person's own."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.client_address import client_address
from accounts.throttling import admit
from consent.forms import AgentForm, AnswerForm, FileForm
from consent.links import agent_token_of, public_id_of_agents
from consent.models import DataSubjectRequest
from consent.request_states import OPEN, TRANSITIONS, InvalidTransition
from consent.request_texts import KIND_TEXTS, STATE_TEXTS
from consent.services.agent_moves import has_permission
from consent.services.agent_requests import AGENT_KINDS, Agent, agent_file_add, agent_request_open
from consent.services.archives import open_archive
from consent.services.challenges import TooManyLetters
from consent.services.request_papers import MAX_FILE_BYTES
from consent.services.requests import request_answer, request_cancel
from consent.store_of import store_of
from consent.views.requests import as_archive

Kind, State, Source = DataSubjectRequest.Kind, DataSubjectRequest.State, DataSubjectRequest.Source
ASKS_PER_MINUTE = 5


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest) -> HttpResponse:
    """Somebody asks in another person's name."""
    store = store_of(request)
    is_sent = request.method == "POST"
    form = AgentForm(request.POST if is_sent else None, request.FILES if is_sent else None, kinds=AGENT_KINDS)
    if is_sent and form.is_valid():
        if not admit(f"agent:{client_address(request)}", ASKS_PER_MINUTE).is_allowed:
            form.add_error(None, _("Too many requests in a minute. Try again shortly."))
        else:
            wish = form.cleaned_data
            given = wish["permission"]
            try:
                asked = agent_request_open(
                    store=store,
                    kind=wish["kind"],
                    agent=Agent(wish["name"], wish["email"].strip().lower(), wish["organisation"]),
                    person_email=wish["person_email"],
                    message=wish["message"],
                    permission=(given.name, given.read(MAX_FILE_BYTES + 1)) if given else None,
                    language=(get_language() or "en")[:5],
                )
            except TooManyLetters as error:
                form.add_error(None, str(error))
            except ValidationError as error:
                form.add_error("permission", error)
            else:
                return redirect("consent:agent-request", token=agent_token_of(asked))
    context = {"store": store, "form": form}
    return render(request, "privacy/agent.html", context, status=400 if form.errors else 200)


def _found(token: str) -> DataSubjectRequest:
    public_id = public_id_of_agents(token)
    found = (
        DataSubjectRequest.all_stores.select_related("store")
        .filter(public_id=public_id, source=Source.AGENT)
        .first()
        if public_id
        else None
    )
    if found is None:
        raise Http404("There is no such request.")
    return found


def _may_fetch(asked: DataSubjectRequest) -> bool:
    """The person has said so, and the copy is there."""
    return asked.kind == Kind.ACCESS and bool(asked.agent.get("may_fetch")) and asked.archive is not None


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest, token: str) -> HttpResponse:
    """How the request stands, and what the agent can do: send the permission, answer, withdraw."""
    asked = _found(token)
    if request.method == "POST":
        return _act(request, asked, token)
    return _page(request, asked, token)


def _page(
    request: HttpRequest, asked: DataSubjectRequest, token: str, status: int = 200, **forms: Any
) -> HttpResponse:
    lacks_permission = not has_permission(asked)
    is_waiting = asked.state == State.REQUIRES_INPUT
    context = {
        "asked": asked,
        "store": asked.store,
        "text": KIND_TEXTS[asked.kind],
        "state_text": _state_text(asked, lacks_permission),
        "lacks_permission": lacks_permission,
        "needs_confirmation": asked.identity_confirmed_at is None,
        "question": asked.private.get("question", "") if is_waiting else "",
        "answer_form": forms.get("answer_form") or AnswerForm(),
        "file_form": (forms.get("file_form") or FileForm()) if asked.state in OPEN else None,
        "may_fetch": _may_fetch(asked) and open_archive(asked) is not None,
        "may_cancel": State.CANCELLED in TRANSITIONS[asked.state],
        "token": token,
    }
    response = render(request, "privacy/agent_request.html", context, status=status)
    response["Referrer-Policy"] = "same-origin"
    return response


def _state_text(asked: DataSubjectRequest, lacks_permission: bool) -> Any:
    if asked.state == State.REQUIRES_INPUT and lacks_permission:
        return _("We wait for the written permission of the person for whom you ask.")
    if asked.state == State.IDENTITY_UNVERIFIED:
        return _("We have written to the person for whom you ask, and wait until they confirm you.")
    return STATE_TEXTS[asked.state]


def _act(request: HttpRequest, asked: DataSubjectRequest, token: str) -> HttpResponse:
    action = request.POST.get("action")
    try:
        if action == "file":
            files = FileForm(request.POST, request.FILES)
            if not files.is_valid():
                return _page(request, asked, token, status=400, file_form=files)
            given = files.cleaned_data["file"]
            try:
                agent_file_add(request=asked, name=given.name, content=given.read(MAX_FILE_BYTES + 1))
            except ValidationError as error:
                files.add_error("file", error)
                return _page(request, asked, token, status=400, file_form=files)
            messages.success(request, _("Your file has arrived."))
        elif action == "answer" and asked.state == State.REQUIRES_INPUT:
            answer = AnswerForm(request.POST)
            if not answer.is_valid():
                return _page(request, asked, token, status=400, answer_form=answer)
            request_answer(request=asked, answer=answer.cleaned_data["answer"])
        elif action == "cancel":
            request_cancel(request=asked)
    except InvalidTransition:
        messages.error(request, _("It is too late for that: the request has moved on."))
    return redirect("consent:agent-request", token=token)


@never_cache
@require_safe
def download(request: HttpRequest, token: str) -> HttpResponse:
    """The copy of the person's data, where the person lets the agent have it."""
    asked = _found(token)
    archive = open_archive(asked) if _may_fetch(asked) else None
    if archive is None:
        raise Http404("There is nothing to fetch, or the person has not let you.")
    return as_archive(asked, archive)
