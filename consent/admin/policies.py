"""The shop's policies about personal data: who owns each, when it is reviewed again, and what reviews found."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.text import slugify
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminDateWidget, UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from accounts.admin.confirmation import Confirmation, confirm_page
from accounts.admin.scoped import ScopedAdmin, ScopedModelForm
from accounts.current_store import current_store, may, require, staff_user
from accounts.display.columns import DASH
from accounts.models import StoreMembership, User
from accounts.permissions import Ability
from consent.models import Policy, PolicyReview
from consent.services.policies import REMIND_BEFORE, policies_ensure, policy_review


class DueFilter(DropdownFilter):
    title = "review"
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("late", "Late"), ("soon", "Due within 14 days"), ("unowned", "Without an owner")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Policy]) -> QuerySet[Policy]:
        today = timezone.localdate()
        match self.value():
            case "late":
                return queryset.filter(next_review_on__lt=today)
            case "soon":
                return queryset.filter(next_review_on__range=(today, today + REMIND_BEFORE))
            case "unowned":
                return queryset.filter(Q(owner=None) | Q(owner__is_active=False))
        return queryset


class PolicyForm(ScopedModelForm):
    made_fields: ClassVar[tuple[str, ...]] = ("key",)

    def clean_review_every_days(self) -> int:
        days = int(self.cleaned_data["review_every_days"])
        if not 1 <= days <= 1_100:
            raise ValidationError("Between 1 and 1,100 days.")
        return days

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.instance.key and cleaned.get("title"):
            self.instance.key = slugify(cleaned["title"])[:40] or "policy"
        return cleaned


class ReviewForm(forms.Form):
    outcome = forms.ChoiceField(
        label="What came of it", choices=PolicyReview.Outcome.choices, widget=UnfoldAdminSelectWidget
    )
    note = forms.CharField(
        label="What was looked at, changed, or has to change",
        max_length=4_000,
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
    )
    next_review_on = forms.DateField(label="Next review", widget=UnfoldAdminDateWidget)


@admin.register(Policy)
class PolicyAdmin(ScopedAdmin):
    view_ability = Ability.READ_PRIVACY
    add_ability = Ability.PUBLISH_NOTICES
    change_ability = Ability.PUBLISH_NOTICES
    form = PolicyForm
    intro = "What the shop has decided about personal data. Each has an owner, who is reminded by e-mail two weeks before its review."
    empty_title = "No policies"
    empty_text = "Add what the shop has decided about personal data, and who answers for it."
    list_display = ("title", "owned_by", "review", "last_review", "state")
    list_filter = (DueFilter,)
    search_fields = ("title__icontains", "description__icontains")
    search_help_text = "Words of the title or the description"
    ordering = ("next_review_on", "key")
    list_select_related = ("owner",)
    fields = ("title", "description", "owner", ("review_every_days", "next_review_on"))
    change_form_template = "admin/consent/policy.html"
    export_columns: ClassVar[Any] = {
        "policy": "key",
        "title": "title",
        "owner": "owner__email",
        "next_review_on": "next_review_on",
        "last_reviewed_at": "last_at",
        "last_outcome": "last_outcome",
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Policy]:
        newest = PolicyReview.all_stores.filter(policy=OuterRef("pk")).order_by("-reviewed_at")
        return (
            super()
            .get_queryset(request)
            .annotate(
                last_at=Subquery(newest.values("reviewed_at")[:1]),
                last_outcome=Subquery(newest.values("outcome")[:1]),
            )
        )

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "owner":
            team = StoreMembership.objects.filter(store=current_store(request)).values("user")
            kwargs["queryset"] = User.objects.filter(pk__in=team, is_active=True).order_by("email")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        review = path(
            "<path:object_id>/review/",
            self.admin_site.admin_view(self.review_view),
            name="consent_policy_review",
        )
        return [review, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        policies_ensure(require(request, Ability.READ_PRIVACY))
        return super().changelist_view(request, extra_context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        policy = self.get_object(request, object_id) if object_id else None
        given: dict[str, Any] = {"may_review": may(request, Ability.PUBLISH_NOTICES)}
        if policy is not None and self.has_view_permission(request, policy):
            given["reviews"] = policy.reviews.select_related("reviewer")
        return super().changeform_view(request, object_id, form_url, {**given, **(extra_context or {})})

    def review_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        policy: Policy = self.object_for(request, object_id, Ability.PUBLISH_NOTICES)
        back = reverse("admin:consent_policy_change", args=[policy.pk])
        again = timezone.localdate() + timedelta(days=policy.review_every_days)
        form = ReviewForm(request.POST or None, initial={"next_review_on": again})
        if request.method == "POST" and form.is_valid():
            try:
                policy_review(policy=policy, reviewer=staff_user(request), **form.cleaned_data)
            except ValidationError as error:
                form.add_error(None, error)
            else:
                messages.success(request, "The review is recorded.")
                return HttpResponseRedirect(back)
        asked = Confirmation(
            title=f"Record a review of “{policy.title}”",
            consequences=[
                policy.description or "What it covers is not written down.",
                "The review is recorded under your name, here and in the audit log, and is not changed afterwards.",
            ],
            undo="A review stays on record. Record another one to say something else.",
            button="Record the review",
            back_url=back,
        )
        return confirm_page(request, self, asked, form)

    @display(description="Owner", ordering="owner__email")
    def owned_by(self, policy: Policy) -> str:
        return policy.owner.name or policy.owner.email if policy.owner else DASH

    @display(description="Next review", ordering="next_review_on")
    def review(self, policy: Policy) -> str:
        return f"{policy.next_review_on:%Y-%m-%d}"

    @display(description="Last review")
    def last_review(self, policy: Any) -> str:
        if policy.last_at is None:
            return "Never"
        return f"{policy.last_at:%Y-%m-%d}: {PolicyReview.Outcome(policy.last_outcome).label.lower()}"

    @display(description="State", label={"Late": "danger", "Due soon": "warning", "No owner": "warning"})
    def state(self, policy: Policy) -> str:
        today = timezone.localdate()
        if policy.next_review_on < today:
            return "Late"
        if policy.owner is None or not policy.owner.is_active:
            return "No owner"
        return "Due soon" if policy.next_review_on <= today + REMIND_BEFORE else "In order"
