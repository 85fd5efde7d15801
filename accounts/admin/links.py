"""Which browser was which customer, and when: undone, ended or restored by staff, each with its reason on record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSplitDateTimeWidget

from accounts import auditing
from accounts.admin.confirmation import Confirmation, OptionalReasonForm, confirm_page
from accounts.admin.filters import MomentRangeFilter, value_filter
from accounts.admin.scoped import ReadOnlyAdmin
from accounts.current_store import staff_user
from accounts.display.columns import when
from accounts.models import IdentityLink
from accounts.permissions import Ability
from accounts.services.identity import LinkRefused, identity_link_end, identity_relink, identity_unlink


class EndForm(OptionalReasonForm):
    """From when on somebody else sat at the browser."""

    at = forms.SplitDateTimeField(
        label="From when on it was somebody else",
        widget=UnfoldAdminSplitDateTimeWidget,
        initial=timezone.now,
        help_text="In your time zone. Between the start of the link and its end.",
    )
    field_order = ("at", "reason")


@admin.register(IdentityLink)
class IdentityLinkAdmin(ReadOnlyAdmin):
    view_ability = Ability.READ_SHOPPERS
    look_action = "link.read"
    exports_people = True
    intro = "Which browser was which customer, and when. A link is read when it is needed: undoing one re-keys nothing."
    empty_title = "No links yet"
    empty_text = "A link appears when a visitor logs in or identifies, on any device."
    list_display = ("visitor", "customer", "origin", "start", "end", "state")
    list_display_links = None
    list_filter = (
        value_filter("source", "source", IdentityLink.Source.choices),
        ("valid_from", MomentRangeFilter),
    )
    search_fields = ("visitor__anonymous_id__startswith", "customer__external_id__istartswith")
    search_help_text = "Anonymous id or customer id"
    ordering = ("-valid_from",)
    list_select_related = ("visitor", "customer")
    export_columns = {
        "anonymous_id": "visitor__anonymous_id",
        "customer_id": "customer__external_id",
        "source": "source",
        "valid_from": "valid_from",
        "valid_until": "valid_until",
        "undone_at": "undone_at",
    }

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/undo/", wrap(self.undo_view), name="accounts_identitylink_undo"),
            path("<path:object_id>/end/", wrap(self.end_view), name="accounts_identitylink_end"),
            path("<path:object_id>/restore/", wrap(self.restore_view), name="accounts_identitylink_restore"),
            *super().get_urls(),
        ]

    def undo_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        link = self.object_for(request, object_id, Ability.EDIT_SHOPPERS)
        form = OptionalReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            return self._do(
                request,
                link,
                "undone",
                form.cleaned_data["reason"],
                lambda: identity_unlink(link=link),
                "The link is undone: what happened on that browser no longer counts as this customer's.",
            )
        return self._ask(
            request,
            link,
            form,
            title="Undo this link?",
            consequences=[
                f"Events of visitor {link.visitor} no longer count as those of customer {link.customer}.",
                "Shelves follow at once; segments and models with their next computation.",
                "No event is changed or deleted.",
            ],
            undo="Yes, by restoring it. A new identify call on that browser makes a new link.",
            button="Undo the link",
        )

    def end_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Split a shared device: from a moment on it was somebody else."""
        link = self.object_for(request, object_id, Ability.EDIT_SHOPPERS)
        form = EndForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            at: datetime = form.cleaned_data["at"]
            return self._do(
                request,
                link,
                "ended",
                form.cleaned_data["reason"],
                lambda: identity_link_end(link=link, at=at),
                f"The link ends {when(at)}: what happened on that browser after it is nobody's.",
            )
        return self._ask(
            request,
            link,
            form,
            title="Split this device?",
            consequences=[
                f"Up to the moment below, visitor {link.visitor} was customer {link.customer}.",
                "What happened on that browser after it is nobody's, until somebody identifies there.",
                "Shelves follow at once; segments and models with their next computation. No event is changed or deleted.",
            ],
            undo="The customer's next identify call on that browser makes a new link.",
            button="End the link",
        )

    def restore_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        link = self.object_for(request, object_id, Ability.EDIT_SHOPPERS)
        form = OptionalReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            return self._do(
                request,
                link,
                "restored",
                form.cleaned_data["reason"],
                lambda: identity_relink(link=link),
                "The link holds again, as if it had never been undone.",
            )
        return self._ask(
            request,
            link,
            form,
            title="Restore this link?",
            consequences=[
                f"Visitor {link.visitor} counts as customer {link.customer} again, for the same time."
            ],
            undo="Yes, by undoing it.",
            button="Restore the link",
        )

    def _do(
        self,
        request: HttpRequest,
        link: IdentityLink,
        verb: str,
        reason: str,
        deed: Callable[[], None],
        done: str,
    ) -> HttpResponse:
        back = HttpResponseRedirect(reverse("admin:accounts_customer_change", args=[link.customer_id]))
        try:
            with transaction.atomic():
                deed()
                auditing.record(
                    store=link.store,
                    actor=staff_user(request),
                    action=f"identity_link.{verb}",
                    target=f"identity_link:{link.pk}",
                    reason=reason,
                )
        except LinkRefused as error:
            messages.error(request, str(error))
            return back
        messages.success(request, done)
        return back

    def _ask(
        self,
        request: HttpRequest,
        link: IdentityLink,
        form: forms.Form,
        *,
        title: str,
        consequences: list[str],
        undo: str,
        button: str,
    ) -> HttpResponse:
        back = reverse("admin:accounts_customer_change", args=[link.customer_id])
        return confirm_page(
            request,
            self,
            Confirmation(title, consequences, undo, button, back, is_dangerous=True),
            form,
        )

    @display(description="Source")
    def origin(self, link: IdentityLink) -> str:
        return link.source

    @display(description="From", ordering="valid_from")
    def start(self, link: IdentityLink) -> str:
        return when(link.valid_from)

    @display(description="Until", ordering="valid_until")
    def end(self, link: IdentityLink) -> str:
        return when(link.valid_until) if link.valid_until else "now"

    @display(description="State", label={"Undone": "warning", "In force": "success", "Ended": "info"})
    def state(self, link: IdentityLink) -> str:
        if link.undone_at:
            return "Undone"
        return "Ended" if link.valid_until else "In force"
