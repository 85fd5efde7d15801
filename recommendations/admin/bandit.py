"""The page of a placement's bandit: begin one within bounds, see why each arm has its share, freeze, set back, adopt the winner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from accounts.admin.confirmation import Confirmation, OptionalReasonForm, confirm_page
from accounts.admin.scoped import ScopedAdmin
from accounts.current_store import may, staff_user
from accounts.permissions import Ability
from recommendations.admin.bandit_figures import figures_of
from recommendations.admin.bandit_form import (
    EPOCHS,
    WINDOWS,
    Form,
    blank_form,
    posted_form,
    read_plan,
)
from recommendations.models import Bandit, BanditArm, BlendVersion, Placement
from recommendations.selectors.bandits import standing_of
from recommendations.services.bandit_end import bandit_end
from recommendations.services.bandits import (
    MAX_ARMS,
    bandit_adopt,
    bandit_freeze,
    bandit_reset,
    bandit_resume,
    bandit_start,
    running_bandit,
)


class BanditPages(ScopedAdmin):
    """Views under a placement: `bandit/` shows and begins, the others change one thing each."""

    def bandit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        placement = self.object_for(request, object_id, Ability.READ_SHELVES)
        if request.method == "POST":
            return self._begin(request, self.object_for(request, object_id, Ability.EDIT_SHELVES))
        bandit = running_bandit(placement)
        if bandit is not None:
            return self._standing_page(request, placement, bandit)
        asked = request.GET.get("bandit", "")
        ended = placement.bandits.filter(pk=int(asked)).first() if asked.isdigit() else None
        if ended is not None:
            return self._standing_page(request, placement, ended)
        try:
            form = blank_form(placement)
        except ValidationError as error:
            return self._form_page(request, placement, None, " ".join(error.messages))
        return self._form_page(request, placement, form, "")

    def _begin(self, request: HttpRequest, placement: Placement) -> HttpResponse:
        try:
            bandit = bandit_start(
                placement=placement, plan=read_plan(placement, request.POST), user=staff_user(request)
            )
        except ValidationError as error:
            try:
                form = posted_form(placement, request.POST)
            except ValidationError:
                form = None
            return self._form_page(request, placement, form, " ".join(error.messages))
        messages.success(
            request,
            f"It runs: {bandit.arms.count()} arms with equal shares. Figures come as shoppers see them.",
        )
        return HttpResponseRedirect(_url(placement))

    def _form_page(
        self, request: HttpRequest, placement: Placement, form: Form | None, trouble: str
    ) -> TemplateResponse:
        context = {
            **self._frame(request, placement),
            "form": form,
            "trouble": trouble,
            "goals": Bandit.Goal.choices,
            "epochs": EPOCHS.items(),
            "windows": WINDOWS.items(),
            "max_arms": MAX_ARMS,
        }
        status = 200 if not trouble or request.method == "GET" else 422
        return TemplateResponse(request, "admin/recommendations/bandit_form.html", context, status=status)

    def _standing_page(self, request: HttpRequest, placement: Placement, bandit: Bandit) -> TemplateResponse:
        standing = standing_of(bandit, bandit.ended_at or timezone.now())
        context = {**self._frame(request, placement), **figures_of(standing), "bandit": bandit}
        return TemplateResponse(request, "admin/recommendations/bandit.html", context)

    def _frame(self, request: HttpRequest, placement: Placement) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": placement,
            "placement": placement,
            "title": f"{placement.name}: shoppers decide",
            "may_edit": may(request, Ability.EDIT_SHELVES),
            "ended": placement.bandits.filter(state=Bandit.State.ENDED)[:10],
        }

    # What changes something

    def bandit_freeze_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """POST. It can be resumed at once, so it asks nothing."""
        return self._at_once(
            request,
            object_id,
            bandit_freeze,
            "Frozen: shares stand still, and every shopper keeps their arm.",
        )

    def bandit_resume_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """POST."""
        return self._at_once(
            request, object_id, bandit_resume, "It learns again: the next epoch follows what was counted."
        )

    def _at_once(
        self, request: HttpRequest, object_id: str, deed: Callable[..., Bandit], done: str
    ) -> HttpResponse:
        placement = self.object_for(request, object_id, Ability.EDIT_SHELVES)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        self._do(request, done, lambda: deed(bandit=_running(placement), user=staff_user(request)))
        return HttpResponseRedirect(_url(placement))

    def bandit_reset_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        placement = self.object_for(request, object_id, Ability.EDIT_SHELVES)
        bandit = _running(placement)
        return self._asked(
            request,
            placement,
            Confirmation(
                title="Forget what was learned?",
                consequences=[
                    "From the next request on all arms have equal shares, and lots are drawn anew: most shoppers' shelves change.",
                    "What was counted so far does not count any more. It stays in the chart.",
                ],
                undo="",
                button="Forget it",
                back_url=_url(placement),
                is_dangerous=True,
            ),
            "All arms begin again with equal shares.",
            lambda reason: bandit_reset(bandit=bandit, user=staff_user(request), reason=reason),
        )

    def bandit_end_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        placement = self.object_for(request, object_id, Ability.EDIT_SHELVES)
        bandit = _running(placement)
        live = placement.versions.filter(state=BlendVersion.State.PUBLISHED).first()
        return self._asked(
            request,
            placement,
            Confirmation(
                title="End it without a winner?",
                consequences=[
                    f"From the next request on every shelf follows version {live.number}, which is published."
                    if live
                    else "From the next request on popular products stand in: nothing is published.",
                    "What was counted stays readable on this page.",
                ],
                undo="No, but another one can be begun with the same arms.",
                button="End it",
                back_url=_url(placement),
            ),
            "It has ended; shelves follow the published weights.",
            lambda reason: bandit_end(
                bandit=bandit, user=staff_user(request), outcome=reason or "Ended without a winner."
            ),
        )

    def bandit_adopt_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """`?arm=2`: its number."""
        placement = self.object_for(request, object_id, Ability.EDIT_SHELVES)
        bandit = _running(placement)
        number = request.GET.get("arm", "")
        arm = bandit.arms.filter(number=int(number)).first() if number.isdigit() else None
        if arm is None:
            raise Http404("There is no such arm.")
        return self._asked(
            request,
            placement,
            _adoption(placement, arm),
            f"“{arm.name}” is live. “Undo” on the placement's page brings back what was live before.",
            lambda reason: bandit_adopt(arm=arm, user=staff_user(request), reason=reason),
        )

    def _asked(
        self,
        request: HttpRequest,
        placement: Placement,
        confirmation: Confirmation,
        done: str,
        deed: Callable[[str], object],
    ) -> HttpResponse:
        form = OptionalReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            self._do(request, done, lambda: deed(form.cleaned_data["reason"]))
            return HttpResponseRedirect(_url(placement))
        return confirm_page(request, self, confirmation, form)

    def _do(self, request: HttpRequest, done: str, deed: Callable[[], object]) -> None:
        try:
            deed()
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            messages.success(request, done)


def _url(placement: Placement) -> str:
    return reverse("admin:recommendations_placement_bandit", args=[placement.pk])


def _running(placement: Placement) -> Bandit:
    bandit = running_bandit(placement)
    if bandit is None:
        raise Http404("No bandit runs on this placement.")
    return bandit


def _adoption(placement: Placement, arm: BanditArm) -> Confirmation:
    is_live = arm.version.state == BlendVersion.State.PUBLISHED
    return Confirmation(
        title=f"Make “{arm.name}” the weights of {placement}?",
        consequences=[
            "From the next request on every shelf of this placement follows it: for all shoppers but the control group.",
            "It is what is published already: only the other arms go."
            if is_live
            else f"Version {arm.version.number} is published; what is live now is retired.",
            "The bandit ends. What was counted stays readable.",
        ],
        undo="Yes: “Undo” on the placement's page brings the version before back. The bandit itself stays ended.",
        button=f"Adopt “{arm.name}”",
        back_url=_url(placement),
    )
