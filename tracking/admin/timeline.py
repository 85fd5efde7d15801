"""A shopper's timeline: their visits, newest first, and in each what happened, in order. Whoever reads it is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.contrib import admin
from django.core.exceptions import BadRequest
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.admin.looks import record_look
from accounts.current_store import require
from accounts.models import Customer, Store, Visitor
from accounts.permissions import Ability
from accounts.selectors.persons import record_ids_of
from tracking.admin.timeline_sources import LEAD, Moment, Stretch, sources
from tracking.models import Session

VISITS_PER_PAGE: Final = 10
MOMENTS_PER_VISIT: Final = 200
_BEGINNING: Final = datetime(1990, 1, 1, tzinfo=UTC)
# Events may be a day ahead of the server's clock.
_AHEAD: Final = timedelta(days=1)


@dataclass
class Block:
    """A visit with its moments, oldest first; without a session: what happened in no visit."""

    session: Session | None
    at: datetime
    moments: list[Moment] = field(default_factory=list)

    @property
    def shown(self) -> list[Moment]:
        return self.moments[:MOMENTS_PER_VISIT]

    @property
    def more(self) -> int:
        return max(0, len(self.moments) - MOMENTS_PER_VISIT)


def urls(site: admin.AdminSite) -> list[URLPattern]:
    return [
        path(
            "tracking/timeline/<str:kind>/<int:pk>/",
            site.admin_view(timeline_view),
            name="tracking_timeline",
        )
    ]


@never_cache
@require_safe
def timeline_view(request: HttpRequest, kind: str, pk: int) -> HttpResponse:
    """`kind` is `visitor` or `customer`; `?only=<kind of moment>`, `?before=<ISO time>` for older visits."""
    store = require(request, Ability.READ_SHOPPERS)
    subject = _subject(store, kind, pk)
    record_look(request, subject, "timeline.read")
    stretch, older = _stretch(store, subject, _before(request))
    only = request.GET.get("only", "")
    kinds = [(source.kind, source.label) for source in sources()]
    only = only if only in dict(kinds) else ""
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": f"Timeline of {kind} {subject}",
        "subject": subject,
        "kind": kind,
        "own_page": reverse(f"admin:accounts_{kind}_change", args=[subject.pk]),
        "blocks": blocks_of(stretch, only),
        "kinds": kinds,
        "only": only,
        "before": request.GET.get("before", ""),
        "older": older.isoformat() if older else "",
    }
    return TemplateResponse(request, "admin/tracking/timeline.html", context)


def _subject(store: Store, kind: str, pk: int) -> Customer | Visitor:
    subject: Customer | Visitor | None
    match kind:
        case "customer":
            subject = Customer.objects.for_store(store).filter(pk=pk).first()
        case "visitor":
            subject = Visitor.objects.for_store(store).filter(pk=pk).first()
        case _:
            raise Http404(f"There is no timeline of a {kind[:20]!r}.")
    if subject is None:
        raise Http404(f"There is no {kind} {pk} in this store.")
    return subject


def _before(request: HttpRequest) -> datetime | None:
    told = request.GET.get("before", "")
    if not told:
        return None
    try:
        # A plus sign in an address is a space.
        moment = datetime.fromisoformat(told.replace(" ", "+"))
    except ValueError as error:
        raise BadRequest(f"{told[:40]!r} is no time.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _stretch(
    store: Store, subject: Customer | Visitor, before: datetime | None
) -> tuple[Stretch, datetime | None]:
    """The newest visits that began before `before`, and from where older ones go on; None: there are none."""
    owned = Q(visitor=subject) if isinstance(subject, Visitor) else Q(customer__in=record_ids_of(subject))
    until = before or timezone.now() + _AHEAD
    rows = Session.objects.for_store(store).filter(owned, started_at__lt=until).order_by("-started_at")
    found = list(rows[: VISITS_PER_PAGE + 1])
    sessions = found[:VISITS_PER_PAGE]
    older = sessions[-1].started_at if len(found) > VISITS_PER_PAGE else None
    return Stretch(store, subject, sessions, older or _BEGINNING, until), older


def blocks_of(stretch: Stretch, only: str = "") -> list[Block]:
    """Visits and what lies between them, newest first. `only`: moments of one kind, and no visits without any."""
    found = {source.kind: source.moments(stretch) for source in sources() if only in ("", source.kind)}
    told = {key for moments in found.values() for moment in moments for key in moment.tells}
    moments = sorted(
        (moment for group in found.values() for moment in group if not _is_told(moment, told)),
        key=lambda moment: moment.at,
    )
    visits = [Block(session, session.started_at) for session in stretch.sessions]
    loose: list[Moment] = []
    for moment in moments:
        block = _visit_of(moment, visits)
        if block is not None:
            block.moments.append(moment)
        elif stretch.since <= moment.at < stretch.until:
            loose.append(moment)
    blocks = [*(visit for visit in visits if visit.moments or not only), *_between(loose, visits)]
    return sorted(blocks, key=lambda block: block.at, reverse=True)


def _is_told(moment: Moment, told: set[tuple[str, ...]]) -> bool:
    return bool(moment.key) and moment.key in told


def _visit_of(moment: Moment, visits: Sequence[Block]) -> Block | None:
    """The visit that a moment belongs to: of the same browser, where it happened on one."""
    for visit in visits:
        session = visit.session
        if (
            session is not None
            and moment.visitor_id in (None, session.visitor_id)
            and session.started_at - LEAD <= moment.at <= session.ended_at
        ):
            return visit
    return None


def _between(loose: Sequence[Moment], visits: Sequence[Block]) -> list[Block]:
    """Moments of no visit, together where no visit began in between."""
    starts = sorted(visit.at for visit in visits)
    groups: dict[int, Block] = {}
    for moment in loose:
        place = sum(start <= moment.at for start in starts)
        groups.setdefault(place, Block(None, moment.at)).moments.append(moment)
    return list(groups.values())
