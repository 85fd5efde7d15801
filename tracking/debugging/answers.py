"""To a page that carries a pass: what became of its own events, in the answer to the request that sent them.

Nothing is stored for it, and nobody but the sender is told. The answer stays `{"success": true}` with `debug` beside
it, so that clients take it for what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import structlog
from django.http import HttpRequest, JsonResponse
from django.urls import reverse

from accounts.models import ApiKey
from consent.purposes import slugs
from tracking.debugging import passes
from tracking.debugging.calls import Fate, Outcome, fates_of
from tracking.debugging.mends import mend_of
from tracking.ingestion.drafts import Draft

log = structlog.get_logger(__name__)

_MARK: Final = f"{passes.PARAMETER}="


def is_wanted(request: HttpRequest) -> bool:
    return _MARK in request.META.get("QUERY_STRING", "")


def with_outcomes(request: HttpRequest, key: ApiKey, drafts: Sequence[Draft]) -> JsonResponse:
    """The usual answer, with `debug`: an outcome for each event, in the order of the request, where the pass is of the
    key's store."""
    body: dict[str, Any] = {"success": True}
    try:
        found = passes.read(request.GET.get(passes.PARAMETER, ""))
        if found is not None and found.store.pk == key.store_id and drafts:
            # Whether the group had duplicates only the committer knows: look.
            fates = fates_of(drafts, duplicates=1)
            body["debug"] = [_outcome(draft, fate) for draft, fate in zip(drafts, fates, strict=True)]
    except Exception:
        # The events are committed: the answer must say so.
        log.exception("debugging.answer_without_outcomes")
    return JsonResponse(body)


def _outcome(draft: Draft, fate: Fate) -> dict[str, Any]:
    return {
        "messageId": draft.message_id,
        "outcome": fate.outcome.value,
        "reason": fate.reason,
        "detail": draft.detail,
        "mend": mend_of(fate.outcome.value, fate.reason),
        "purposes": slugs(draft.purposes),
        "granted": slugs(draft.granted),
        "url": row_url(fate),
    }


def row_url(fate: Fate) -> str:
    """The admin's page of the row, "" where there is none."""
    if fate.outcome in (Outcome.STORED, Outcome.DUPLICATE) and fate.pointer:
        return reverse("admin:tracking_event_change", args=[fate.pointer])
    if fate.outcome is Outcome.QUARANTINED:
        return reverse("admin:tracking_debugger_row", args=["quarantined", fate.pointer])
    return ""
