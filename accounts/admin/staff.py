"""The store's settings and the people who work for it."""

from __future__ import annotations

from typing import Any, Final
from zoneinfo import available_timezones

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import (
    UnfoldAdminEmailInputWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.admin.confirmation import Confirmation, OptionalReasonForm, confirm_page
from accounts.admin.scoped import ScopedAdmin
from accounts.current_store import current_store, may, require, staff_user
from accounts.display.columns import ago
from accounts.models import Role, Store, StoreMembership, User
from accounts.permissions import ABILITIES, Ability
from accounts.services.memberships import membership_grant, membership_revoke
from accounts.services.signatures import signing_secret_renew


class StoreForm(forms.ModelForm):
    def clean_time_zone(self) -> str:
        zone = str(self.cleaned_data["time_zone"])
        if zone not in available_timezones():
            raise ValidationError(f"{zone!r} is no time zone: write it as Europe/Berlin.")
        return zone

    def clean_holdout_share(self) -> float:
        share = float(self.cleaned_data["holdout_share"])
        if not 0 <= share <= 0.9:
            raise ValidationError("Between 0 (no control group: uplift cannot be measured) and 0.9.")
        return share


UNDELETABLE: Final = (
    "A store is not deleted: its consent ledger and its audit log are the proof of what people decided and of what was done, and "
    "nobody may take entries away. To close a store, revoke its API keys and carry out an erasure for each customer who asks; "
    "what is left goes with its terms, every night."
)


@admin.register(Store)
class StoreAdmin(ScopedAdmin):
    """One row: the current store."""

    view_ability = Ability.MANAGE_STORE
    change_ability = Ability.MANAGE_STORE
    form = StoreForm
    list_display = ("name", "slug", "currency", "country", "time_zone", "holdout")
    search_fields = ()
    list_select_related = ()
    fieldsets = (
        ("Shop", {"fields": (("name", "slug"), ("currency", "country"), ("time_zone", "language"))}),
        (
            "Measurement",
            {
                "fields": ("holdout_share",),
                "description": "Shoppers of the control group see popular products. "
                "Without them nobody can say what personal shelves are worth.",
            },
        ),
        (
            "Visits",
            {
                "fields": ("campaign_starts_session",),
                "description": "A visit ends after 30 minutes without an event, and after 24 hours. A change holds for what comes "
                "from now on; `manage.py fold --rebuild --only sessions` applies it to what was.",
            },
        ),
        (
            "Who is responsible for the data",
            {
                "fields": (("controller_name", "controller_contact"), "protection_officer", "transfers"),
                "description": "Who is responsible is shown to customers in the privacy centre and in exports; all of it stands "
                "in the record of processing.",
            },
        ),
    )
    readonly_fields = ("slug",)
    change_form_template = "admin/accounts/store/change_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Store]:
        store = current_store(request)
        return Store.objects.filter(pk=store.pk) if store else Store.objects.none()

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.exclude

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return ModelAdmin.get_form(self, request, obj, change=change, **kwargs)

    def _may(self, request: HttpRequest, ability: Ability | None, obj: Any) -> bool:
        return may(request, ability) and not (isinstance(obj, Store) and obj != current_store(request))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Says why not: its ledgers are append-only for everybody, and the proofs in them outlive the shop."""
        store = require(request, Ability.MANAGE_STORE)
        messages.error(request, UNDELETABLE)
        return HttpResponseRedirect(reverse("admin:accounts_store_change", args=[store.pk]))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """There is one store at a time: straight to its page."""
        store = require(request, Ability.MANAGE_STORE)
        return HttpResponseRedirect(reverse("admin:accounts_store_change", args=[store.pk]))

    def get_urls(self) -> list[URLPattern]:
        renew = self.admin_site.admin_view(self.renew_view)
        return [
            path("<path:object_id>/renew-secret/", renew, name="accounts_store_renew_secret"),
            *super().get_urls(),
        ]

    def renew_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        store = self.object_for(request, object_id, Ability.MANAGE_STORE)
        back = reverse("admin:accounts_store_change", args=[store.pk])
        if request.method == "POST":
            secret = signing_secret_renew(store=store)
            self._record(request, store, "signing_secret_renewed", {})
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": "New signing secret",
                "secret": secret,
                "back_url": back,
            }
            response = TemplateResponse(request, "admin/accounts/store/secret.html", context)
            response["Cache-Control"] = "private, no-store"
            return response
        return confirm_page(
            request,
            self,
            Confirmation(
                title="Make a new signing secret?",
                consequences=[
                    "The old secret stops at once: customer ids that the shop's server signed with it are refused from browsers.",
                    "Until the shop has the new one, logged-in shoppers are treated as anonymous visitors.",
                ],
                undo="It cannot be undone: the old secret is gone.",
                button="Make a new secret",
                back_url=back,
                is_dangerous=True,
            ),
        )

    @display(description="Control group", ordering="holdout_share")
    def holdout(self, store: Store) -> str:
        return f"{100 * store.holdout_share:.0f} %"


class NewMemberForm(forms.Form):
    email = forms.EmailField(label="E-mail", widget=UnfoldAdminEmailInputWidget, help_text="The login.")
    role = forms.ChoiceField(choices=Role.choices, widget=UnfoldAdminSelectWidget)
    name = forms.CharField(required=False, max_length=150, widget=UnfoldAdminTextInputWidget)
    password = forms.CharField(
        required=False,
        min_length=12,
        widget=UnfoldAdminPasswordWidget,
        help_text="For somebody without a login yet; at least 12 characters. An existing login keeps its password.",
    )


@admin.register(StoreMembership)
class MembershipAdmin(ScopedAdmin):
    view_ability = Ability.MANAGE_STORE
    add_ability = Ability.MANAGE_STORE
    intro = "Who works for this store, and as what. Somebody may hold several roles."
    list_display = ("person", "role_name", "allows", "last_login")
    list_filter = (("role", ChoicesDropdownFilter),)
    search_fields = ("user__email__icontains", "user__name__icontains")
    search_help_text = "E-mail or name"
    ordering = ("user__email", "role")
    list_select_related = ("user", "store")
    readonly_fields = ("user", "role")
    empty_title = "Nobody here"
    empty_text = "Add the people who work for this store."
    change_form_template = "admin/accounts/storemembership/change_form.html"
    export_columns = {"email": "user__email", "role": "role", "last_login": "user__last_login"}

    def get_queryset(self, request: HttpRequest) -> QuerySet[StoreMembership]:
        return StoreMembership.objects.filter(store=current_store(request)).order_by(*self.ordering)

    def get_urls(self) -> list[URLPattern]:
        revoke = self.admin_site.admin_view(self.revoke_view)
        return [
            path("<path:object_id>/revoke/", revoke, name="accounts_storemembership_revoke"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        links = []
        if request.user.is_superuser:
            links = [{"url": reverse("admin:accounts_user_changelist"), "label": "All logins"}]
        return super().changelist_view(request, {"list_links": links, **(extra_context or {})})

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        store = require(request, Ability.MANAGE_STORE)
        form = NewMemberForm(request.POST or None)
        if form.is_valid():
            try:
                membership = membership_grant(
                    store=store, granted_by=staff_user(request), **form.cleaned_data
                )
            except ValidationError as error:
                form.add_error(None, error)
            else:
                messages.success(request, f"{membership}.")
                return HttpResponseRedirect(reverse("admin:accounts_storemembership_changelist"))
        roles = [
            (role.label, sorted(ability.replace("_", " ") for ability in ABILITIES[role])) for role in Role
        ]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Add somebody",
            "form": form,
            "roles": roles,
        }
        return TemplateResponse(request, "admin/accounts/storemembership/add.html", context)

    def revoke_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        membership = self.object_for(request, object_id, Ability.MANAGE_STORE)
        back = reverse("admin:accounts_storemembership_changelist")
        form = OptionalReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                membership_revoke(
                    membership=membership, revoked_by=staff_user(request), reason=form.cleaned_data["reason"]
                )
            except ValidationError as error:
                messages.error(request, " ".join(error.messages))
            else:
                messages.success(request, "The role is taken back.")
            return HttpResponseRedirect(back)
        return confirm_page(
            request,
            self,
            Confirmation(
                title=f"Take the role of {membership.get_role_display().lower()} from {membership.user}?",
                consequences=[
                    "They lose what the role allows in this store with their next click.",
                    "Their login and their other roles stay.",
                ],
                undo="It can be given again at any time.",
                button="Take the role back",
                back_url=back,
                is_dangerous=True,
            ),
            form,
        )

    @display(description="Person", header=True, ordering="user__email")
    def person(self, membership: StoreMembership) -> tuple[str, str]:
        return (
            membership.user.name or membership.user.email,
            membership.user.email if membership.user.name else "",
        )

    @display(
        description="Role",
        ordering="role",
        label={"Administrator": "danger", "Privacy officer": "info", "Merchandiser": "success"},
    )
    def role_name(self, membership: StoreMembership) -> str:
        return membership.get_role_display()

    @display(description="Allows")
    def allows(self, membership: StoreMembership) -> str:
        return f"{len(ABILITIES[Role(membership.role)])} of {len(Ability)} abilities"

    @display(description="Last login", ordering="user__last_login")
    def last_login(self, membership: StoreMembership) -> str:
        return ago(membership.user.last_login)


admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    """Logins of the whole installation: for superusers. Administrators of a store see its team."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("email", "name", "is_staff", "is_superuser", "is_simulated", "last_login")
    list_filter = (
        ("is_staff", BooleanRadioFilter),
        ("is_superuser", BooleanRadioFilter),
        ("is_simulated", BooleanRadioFilter),
    )
    search_fields = ("email__icontains", "name__icontains")
    ordering = ("email",)
    list_filter_submit = True
    list_select_related = ()
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "is_simulated")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (
            None,
            {"classes": ("wide",), "fields": ("email", "name", "usable_password", "password1", "password2")},
        ),
    )
    readonly_fields = ("last_login", "date_joined")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)
