"""The page of a placement: sliders on one side, what they do on the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import reverse

from accounts import auditing
from accounts.current_store import may, require, require_store, staff_user
from accounts.models import Customer
from accounts.permissions import Ability
from recommendations.admin.measuring import (
    MeasuringPage,
    measured_context,
    proposal_for,
    settings_of_draft,
    with_proposal,
)
from recommendations.admin.preview import Comparison, NotReady, compare_customer, compare_personas
from recommendations.admin.strategies import STRATEGY_TEXTS, text_of
from recommendations.admin.tuning_form import (
    SLIDER_MAX,
    audience_of,
    field_name,
    read_draft,
    rerank_fields,
    tabs,
)
from recommendations.models import BlendVersion, Density, MerchandisingRule, Placement
from recommendations.services.bandits import running_bandit
from recommendations.services.blends import (
    EVERYBODY,
    MAX_WEIGHT,
    BlendDraft,
    blend_before,
    blend_draft_save,
    draft_of,
)
from recommendations.serving.configuration import BlendSettings
from recommendations.shelf import RequestError
from segments.models import Segment

NORMALISATION_LABELS = (
    ("max", "Each strategy's best product counts 1 (usual)"),
    ("zscore", "How far above a strategy's average (z-score)"),
    ("rrf", "Ranks only, no scores (reciprocal rank fusion)"),
)


class TuningPage(MeasuringPage):
    """What the page shows and previews; what it saves is in `blends`, what it publishes in `placements`."""

    # The page

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Tune the weights. Without scripts, the same form previews and saves by its buttons."""
        placement = self.object_for(request, object_id, Ability.READ_SHELVES)
        if request.method == "POST":
            return self._posted(request, placement)
        loaded = _version_asked_for(request, placement)
        draft = draft_of(loaded) if loaded else BlendDraft({EVERYBODY: {}})
        if "proposal" in request.GET and (proposal := proposal_for(placement)):
            draft = with_proposal(draft, proposal)
        return self._page(request, placement, draft, loaded)

    def _posted(self, request: HttpRequest, placement: Placement) -> HttpResponse:
        require(request, Ability.EDIT_SHELVES)
        loaded = _version_asked_for(request, placement)
        try:
            draft = read_draft(request.POST)
            if "save" in request.POST or "publish" in request.POST:
                version = blend_draft_save(placement=placement, draft=draft, user=staff_user(request))
                if "publish" in request.POST:
                    url = reverse("admin:recommendations_placement_publish", args=[placement.pk])
                    return HttpResponseRedirect(f"{url}?version={version.number}")
                messages.success(
                    request,
                    f"Draft {version.number} is saved. Shoppers see nothing of it until it is published.",
                )
                return HttpResponseRedirect(
                    reverse("admin:recommendations_placement_change", args=[placement.pk])
                )
            if problems := draft.problems():
                raise ValidationError(problems)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            draft = draft_of(loaded) if loaded else BlendDraft({EVERYBODY: {}})
            return self._page(request, placement, draft, loaded)
        added = audience_of(request.POST.get("add_audience", "")) if "add" in request.POST else None
        if added and added not in draft.rows:
            draft = replace(draft, rows={**draft.rows, added: dict(draft.rows[EVERYBODY])})
        removed = audience_of(request.POST.get("remove", ""))
        if removed and removed != EVERYBODY:
            draft = replace(draft, rows={key: row for key, row in draft.rows.items() if key != removed})
        return self._page(request, placement, draft, loaded)

    def _page(
        self, request: HttpRequest, placement: Placement, draft: BlendDraft, loaded: BlendVersion | None
    ) -> TemplateResponse:
        store = require_store(request)
        segments = list(Segment.objects.for_store(store).filter(is_active=True))
        live = placement.versions.filter(state=BlendVersion.State.PUBLISHED).first()
        comparisons, trouble = self._compare(request, placement, draft, segments)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": placement,
            "title": placement.name,
            "placement": placement,
            "live": live,
            "loaded": loaded,
            "before": blend_before(placement),
            "has_draft": placement.versions.filter(state=BlendVersion.State.DRAFT).exists(),
            "draft": draft,
            "audiences": [self._audience(tab, draft) for tab in tabs(draft.rows, segments)],
            "addable": [
                tab
                for tab in tabs(_all_audiences(segments), segments)
                if audience_of(tab.key) not in draft.rows
            ],
            "normalisations": NORMALISATION_LABELS,
            "rerank_fields": rerank_fields(draft.rerank),
            "slider_max": SLIDER_MAX,
            "weight_max": MAX_WEIGHT,
            "comparisons": comparisons,
            "trouble": trouble,
            "measured": measured_context(placement, draft) if "measure" in request.POST else None,
            "proposal": proposal_for(placement),
            "is_proposed": "proposal" in request.GET,
            "history": placement.versions.select_related("created_by").order_by("-number")[:30],
            "rules": _rules_of(placement),
            "bandit": running_bandit(placement),
            "may_edit": may(request, Ability.EDIT_SHELVES),
            "may_preview_shopper": may(request, Ability.PREVIEW_SHOPPER),
            "is_fullwidth": "1",
        }
        return TemplateResponse(request, "admin/recommendations/placement.html", context)

    def _audience(self, tab: Any, draft: BlendDraft) -> dict[str, Any]:
        audience = audience_of(tab.key) or EVERYBODY
        weights = draft.rows.get(audience, {})
        names = [text.name for text in STRATEGY_TEXTS] + [name for name in weights if name not in _KNOWN]
        sliders = [
            {
                "text": text_of(name),
                "field": field_name(audience, name),
                "weight": f"{weights.get(name, 0.0):g}",
                "is_on": weights.get(name, 0.0) > 0,
            }
            for name in names
        ]
        sliders.sort(key=lambda slider: -float(str(slider["weight"])))
        return {"tab": tab, "sliders": sliders, "sum": f"{sum(weights.values()):.2f}"}

    # The preview

    def preview_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """POST a draft, get the shelves before and after as a fragment of HTML. Saves nothing."""
        placement = self.object_for(request, object_id, Ability.READ_SHELVES)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        segments = list(Segment.objects.for_store(placement.store_id).filter(is_active=True))
        context: dict[str, Any] = {"comparisons": [], "trouble": "", "placement": placement}
        try:
            draft = read_draft(request.POST)
            if problems := draft.problems():
                raise ValidationError(problems)
        except ValidationError as error:
            context["trouble"] = " ".join(error.messages)
        else:
            context["comparisons"], context["trouble"] = self._compare(request, placement, draft, segments)
        return render(request, "admin/recommendations/comparisons.html", context)

    def _compare(
        self, request: HttpRequest, placement: Placement, draft: BlendDraft, segments: list[Segment]
    ) -> tuple[list[Comparison], str]:
        """Personas' shelves, and a real customer's where one is asked for; with what went wrong, in words."""
        store = require_store(request)
        settings = settings_of_draft(draft, {segment.pk: segment.name for segment in segments})
        audience = audience_of(request.POST.get("audience", "")) or EVERYBODY
        found: list[Comparison] = []
        trouble = ""
        try:
            found = compare_personas(store, placement, settings, audience=audience)
            customer_id = request.POST.get("customer", "").strip()
            if customer_id:
                found = [self._compare_customer(request, placement, settings, customer_id), *found]
        except (NotReady, RequestError, ValidationError) as error:
            trouble = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
        return found, trouble

    def _compare_customer(
        self, request: HttpRequest, placement: Placement, settings: BlendSettings, customer_id: str
    ) -> Comparison:
        """With permission, with a reason, and recorded before anything is read."""
        if not may(request, Ability.PREVIEW_SHOPPER):
            raise ValidationError("Your role does not allow to look at a real shopper's shelf.")
        reason = request.POST.get("customer_reason", "").strip()
        if not reason:
            raise ValidationError("Say why you look at this shopper's shelf: the audit log keeps it.")
        store = require_store(request)
        customer = Customer.objects.for_store(store).filter(external_id=customer_id).first()
        if customer is None:
            raise ValidationError(f"There is no customer {customer_id!r} in this store.")
        with transaction.atomic():
            auditing.record(
                store=store,
                actor=staff_user(request),
                action="shopper.previewed",
                target=f"customer:{customer.public_id}",
                reason=reason[:500],
                details={"placement": placement.slug},
            )
        return compare_customer(store, placement, settings, customer_id)


_KNOWN = frozenset(text.name for text in STRATEGY_TEXTS)


def _all_audiences(segments: list[Segment]) -> list[tuple[int | None, str]]:
    densities = [value for value in Density.values if value]
    return [(None, density) for density in densities] + [(segment.pk, "") for segment in segments]


def _version_asked_for(request: HttpRequest, placement: Placement) -> BlendVersion | None:
    """`?version=3`, else the open draft, else what is live."""
    number = request.GET.get("version", "")
    found = placement.versions.prefetch_related("weights")
    if number.isdigit() and (asked := found.filter(number=int(number)).first()):
        return asked
    open_draft = found.filter(state=BlendVersion.State.DRAFT).order_by("-number").first()
    return open_draft or found.filter(state=BlendVersion.State.PUBLISHED).first()


def _rules_of(placement: Placement) -> QuerySet[MerchandisingRule]:
    """Rules that reach the placement: its own and those of all placements."""
    rules = MerchandisingRule.objects.for_store(placement.store_id).filter(is_active=True)
    return rules.filter(Q(placement=placement) | Q(placement=None)).select_related(
        "product", "category", "brand"
    )
