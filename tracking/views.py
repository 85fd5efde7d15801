"""The collecting endpoints, as the clients in `docs/events.md` expect them.

`200 {"success": true}` says that every event of the request has been stored, quarantined, or discarded for
want of permission, and that this is committed. Any other answer says that nothing is known to be stored, in
JSON, never as a redirect.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import structlog
from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import condition, require_GET, require_safe

from accounts.api_errors import error_response
from accounts.authentication import InvalidKey, authenticate_write_key
from accounts.client_address import client_address
from accounts.keys import key_of
from accounts.models import ApiKey, Scope
from accounts.throttling import admit_request
from tracking.debugging import answers, reporting
from tracking.ingestion import committer, metrics, posthog
from tracking.ingestion.decoding import Batch, RefusedRequest, inflate, read_batch, read_single
from tracking.ingestion.drafts import Arrival, Source
from tracking.ingestion.receiving import read_body
from tracking.ingestion.validation import draft_of_bytes
from tracking.services.event_mappings import event_mappings_delivered
from tracking.vocabulary import EVENT_TYPES, SHORT_FORMS

log = structlog.get_logger(__name__)

KINDS: Final = "|".join(("batch", *EVENT_TYPES, *SHORT_FORMS))
# With and without a slash, never a redirect: clients lose the body on one, or take it for success.
COLLECTING: Final = re.compile(rf"/(?:v1/(?P<kind>{KINDS})|batch)/?")
# The one address outside of /v1/: that of PostHog's libraries.
POSTHOG: Final = "posthog"

_SUCCESS: Final = b'{"success":true}'
# How long browsers keep the settings: a page asks once for each visit, not for each of its pages.
SETTINGS_SECONDS: Final = 300


@csrf_exempt
def collect(request: HttpRequest, kind: str) -> HttpResponse:
    """`POST /v1/{batch,track,page,identify,alias,group,screen}`, their short forms, and `/batch/`."""
    if request.method == "OPTIONS":
        return HttpResponse(status=204, headers={"Allow": "POST, OPTIONS"})
    if request.method != "POST":
        wrong_method = RefusedRequest(405, "method_not_allowed", "Send events with POST.")
        reporting.refused(request, wrong_method.status, wrong_method.code, wrong_method.message)
        return _refuse(wrong_method, {"Allow": "POST, OPTIONS"})
    kind = SHORT_FORMS.get(kind, kind)
    received_at = timezone.now()
    body = b""
    try:
        body = inflate(read_body(request))
        batch = _READERS.get(kind, read_single)(body)
        committer.check()
        key = authenticate_write_key(request, {"writeKey": batch.write_key})
        _throttle(request, key)
        arrival = Arrival(
            source=Source.of(key),
            received_at=received_at,
            sent_at=batch.sent_at,
            default_type="" if kind in _READERS else kind,
            user_agent=request.META.get("HTTP_USER_AGENT", ""),
            address=client_address(request),
            gpc=request.META.get("HTTP_SEC_GPC") == "1",
        )
        drafts = [draft_of_bytes(event, arrival) for event in _messages(kind, batch, key)]
        committer.submit(drafts)
    except RefusedRequest as refusal:
        reporting.refused(request, refusal.status, refusal.code, refusal.message, body)
        return _refuse(refusal)
    except InvalidKey as error:
        reporting.refused(request, error.status, "invalid_key", error.message, body)
        return error_response(error.status, error.message, code="invalid_key")
    except committer.Unavailable as error:
        metrics.REFUSED.inc(len(batch.events))
        reporting.refused(request, 503, "unavailable", str(error), body)
        return _unavailable(str(error), error.retry_after_seconds)
    except Error as error:
        log.warning("collect.database_unavailable", error=str(error).strip())
        metrics.REFUSED.inc(len(batch.events))
        committer.failed()
        return _unavailable("The database cannot be reached.", 2.0)
    finally:
        committer.ended()
    if answers.is_wanted(request):
        return answers.with_outcomes(request, key, drafts)
    return HttpResponse(_SUCCESS, content_type="application/json")


def _messages(kind: str, batch: Batch, key: ApiKey) -> Iterator[bytes]:
    if kind == POSTHOG:
        return (posthog.message_of(bytes(event), is_trusted=key.is_secret) for event in batch.events)
    return map(bytes, batch.events)


_READERS: Final = {"batch": read_batch, POSTHOG: posthog.read_posthog_batch}


def _unavailable(message: str, retry_after_seconds: float) -> HttpResponse:
    response = error_response(503, message, retry_after_seconds=retry_after_seconds)
    # Why has been logged, once. A line for each refused request too would keep threads busy that have better to do.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


class _Throttled(RefusedRequest):
    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(
            429, "too_many_requests", "This key sends too many requests from this address. Batch the events."
        )
        self.retry_after_seconds = retry_after_seconds


def _throttle(request: HttpRequest, key: ApiKey) -> None:
    """Browsers' keys are public, so each address has a limit. A shop's server is held back by 503 alone."""
    if key.is_secret:
        return
    decision = admit_request(request, key, area="collect")
    if not decision.is_allowed:
        raise _Throttled(decision.retry_after_seconds)


def _refuse(refusal: RefusedRequest, headers: dict[str, str] | None = None) -> HttpResponse:
    response = error_response(
        refusal.status,
        refusal.message,
        code=refusal.code,
        retry_after_seconds=getattr(refusal, "retry_after_seconds", None),
    )
    for name, value in (headers or {}).items():
        response[name] = value
    return response


_TRACKER: Final = Path(__file__).parent / "static" / "etalage" / "tracker.js"


@lru_cache(maxsize=1)
def _tracker() -> tuple[bytes, str]:
    source = _TRACKER.read_bytes()
    return source, f'"{hashlib.sha256(source).hexdigest()[:16]}"'


@condition(etag_func=lambda request: _tracker()[1])
@require_safe
def tracker_script(request: HttpRequest) -> HttpResponse:
    """`/etalage/tracker.js`: a short, lasting address for the pages of shops, on other origins too."""
    return HttpResponse(
        _tracker()[0],
        content_type="text/javascript; charset=utf-8",
        headers={"Cache-Control": "public, max-age=3600", "Access-Control-Allow-Origin": "*"},
    )


@require_GET
def project_settings(request: HttpRequest, write_key: str) -> HttpResponse:
    """What analytics-next asks for before it sends anything: send to us, with this key; and for the listeners of data
    layers, what the shop has mapped.
    """
    key = key_of(write_key)
    if key is None or not key.allows(Scope.WRITE_PUBLIC):
        return error_response(404, "This write key is unknown or revoked.", code="invalid_key")
    settings: dict[str, Any] = {"integrations": {"Segment.io": {"apiKey": write_key}}}
    if mappings := event_mappings_delivered(key.store):
        settings["etalage"] = {"mappings": mappings}
    return JsonResponse(settings, headers={"Cache-Control": f"public, max-age={SETTINGS_SECONDS}"})
