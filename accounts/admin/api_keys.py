"""API keys: made here, shown once, revoked here. Only a hash is stored."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.admin.confirmation import Confirmation, OptionalReasonForm, confirm_page
from accounts.admin.filters import MomentRangeFilter, value_filter
from accounts.admin.scoped import ReadOnlyAdmin
from accounts.current_store import require, staff_user
from accounts.display.columns import DASH, ago, moment_text, when
from accounts.models import ApiKey, Scope
from accounts.permissions import Ability
from accounts.services.api_keys import api_key_create, api_key_revoke

# The purposes of `consent`, which stands above this app, by their slugs.
_PURPOSES = [
    ("analytics", "Analytics"),
    ("personalisation", "Personalisation"),
    ("marketing", "Marketing"),
    ("sharing", "Sharing with third parties"),
]


class NewKeyForm(forms.Form):
    name = forms.CharField(
        max_length=120,
        widget=UnfoldAdminTextInputWidget,
        help_text="Who uses it: “Web shop”, “Order server”.",
    )
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="A key that stands in a web page is public: give it “Send events from browsers” and nothing secret.",
    )
    consent_source = forms.ChoiceField(
        choices=ApiKey.ConsentSource.choices,
        widget=UnfoldAdminSelectWidget,
        help_text="Where permission is looked up for what the key sends. Without permission only what is necessary is kept.",
    )
    legal_basis = forms.ChoiceField(choices=ApiKey.LegalBasis.choices, widget=UnfoldAdminSelectWidget)
    declared_purposes = forms.MultipleChoiceField(
        choices=_PURPOSES,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="For “The purposes declared for this key” only: you vouch that each shopper permitted them.",
    )
    allowed_origins = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="One a line, such as https://shop.example. Empty: any origin.",
    )

    def clean_allowed_origins(self) -> list[str]:
        origins = [line.strip() for line in self.cleaned_data["allowed_origins"].splitlines() if line.strip()]
        for origin in origins:
            if not origin.startswith(("https://", "http://")) or "/" in origin.split("://", 1)[1].rstrip("/"):
                raise ValidationError(
                    f"{origin!r} is no origin: scheme and host only, such as https://shop.example."
                )
        return origins

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        scopes = set(data.get("scopes", []))
        if Scope.WRITE_PUBLIC in scopes and scopes & {Scope.WRITE_SECRET, Scope.MANAGE}:
            self.add_error(
                "scopes",
                "A public key and a secret key must be two keys: whoever opens the page reads the public one.",
            )
        return data


def _client_context(request: HttpRequest, key: ApiKey, secret: str) -> dict[str, Any]:
    """What the lines for clients need, which `_clients.html` shows."""
    return {
        "key": key,
        "secret": secret,
        "address": request.build_absolute_uri("/").rstrip("/"),
        "can_write": key.allows(Scope.WRITE_PUBLIC),
        "expectation": _expectation(key),
    }


def _expectation(key: ApiKey) -> str:
    """What becomes of a first event: with most keys it is not stored, and whoever tries should know why."""
    if key.legal_basis == ApiKey.LegalBasis.CONTRACT:
        return "This key stores only what is necessary, such as orders. A product view is answered with 200, counted and not kept."
    match key.consent_source:
        case ApiKey.ConsentSource.LEDGER:
            return "Stored is what the visitor permitted in our banner. Anybody else’s event is answered with 200, counted and not kept."
        case ApiKey.ConsentSource.CLIENT:
            return "Each message says in context.consent what is permitted. One that does not is answered with 200, counted and not kept."
    return ""


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    view_ability = Ability.MANAGE_STORE
    add_ability = Ability.MANAGE_STORE
    intro = (
        "How the shop's pages and servers identify themselves. A revoked key opens nothing within seconds."
    )
    empty_title = "No keys yet"
    empty_text = "Make a public key for the tracker on your pages, and a secret one for your server."
    list_display = ("name", "shown_prefix", "scope_list", "basis", "last_used", "made", "state")
    list_filter = (
        value_filter("consent_source", "consent source", ApiKey.ConsentSource.choices),
        ("last_used_at", MomentRangeFilter),
    )
    search_fields = ("name__icontains", "prefix__startswith")
    search_help_text = "Name or first characters"
    ordering = ("revoked_at", "-created_at")
    list_select_related = ("created_by",)
    change_form_template = "admin/accounts/apikey/change_form.html"
    export_columns = {
        "name": "name",
        "prefix": "prefix",
        "scopes": "scopes",
        "consent_source": "consent_source",
        "legal_basis": "legal_basis",
        "created_at": "created_at",
        "last_used_at": "last_used_at",
        "revoked_at": "revoked_at",
    }

    def get_urls(self) -> list[URLPattern]:
        revoke = self.admin_site.admin_view(self.revoke_view)
        return [path("<path:object_id>/revoke/", revoke, name="accounts_apikey_revoke"), *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The secret is rendered in the answer to the POST and nowhere else."""
        store = require(request, Ability.MANAGE_STORE)
        form = NewKeyForm(request.POST or None)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "New API key",
            "form": form,
        }
        if form.is_valid():
            key, secret = api_key_create(store=store, created_by=staff_user(request), **form.cleaned_data)
            context.update(_client_context(request, key, secret))
            response = TemplateResponse(request, "admin/accounts/apikey/created.html", context)
            response["Cache-Control"] = "private, no-store"
            return response
        return TemplateResponse(request, "admin/accounts/apikey/add.html", context)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        *args: Any,
        obj: ApiKey | None = None,
        **kwargs: Any,
    ) -> HttpResponse:
        """A public key is shown again, with the lines for the shop's pages; a secret one cannot be."""
        if obj is not None and obj.public_value:
            context.update(_client_context(request, obj, obj.public_value))
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    def revoke_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self.object_for(request, object_id, Ability.MANAGE_STORE)
        back = reverse("admin:accounts_apikey_changelist")
        form = OptionalReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            api_key_revoke(key=key, actor=staff_user(request), reason=form.cleaned_data["reason"])
            messages.success(request, f"{key} is revoked.")
            return HttpResponseRedirect(back)
        return confirm_page(
            request,
            self,
            Confirmation(
                title=f"Revoke {key}?",
                consequences=[
                    "Whatever still uses it is refused with 401 within seconds. "
                    "What its pages and servers send is lost until they have a new key.",
                    f"Last used: {moment_text(key.last_used_at) if key.last_used_at else 'never'}.",
                    "What it sent stays.",
                ],
                undo="It cannot be undone: make a new key and put it in place first.",
                button="Revoke the key",
                back_url=back,
                is_dangerous=True,
            ),
            form,
        )

    def facts(self, request: HttpRequest, obj: ApiKey) -> list[tuple[str, Any]]:
        facts = [
            ("Name", obj.name),
            ("Begins with", self.shown_prefix(obj)),
            ("Allows", self.scope_list(obj)),
            ("Permission is looked up in", obj.get_consent_source_display()),
            ("Legal basis", obj.get_legal_basis_display()),
            ("Declared purposes", ", ".join(obj.declared_purposes) or DASH),
            ("Allowed origins", ", ".join(obj.allowed_origins) or "any"),
            ("Made", when(obj.created_at)),
            ("Made by", obj.created_by or DASH),
            ("Last used", ago(obj.last_used_at)),
            ("Revoked", when(obj.revoked_at)),
        ]
        return [*facts, ("Key, for pages of the shop", obj.public_value)] if obj.public_value else facts

    @display(description="Begins with", ordering="prefix")
    def shown_prefix(self, key: ApiKey) -> str:
        return f"{key.prefix}…"

    @display(description="Allows")
    def scope_list(self, key: ApiKey) -> str:
        labels = dict(Scope.choices)
        return ", ".join(str(labels.get(scope, scope)) for scope in key.scopes)

    @display(description="Permission from", ordering="consent_source")
    def basis(self, key: ApiKey) -> str:
        return key.get_consent_source_display()

    @display(description="Last used", ordering="last_used_at")
    def last_used(self, key: ApiKey) -> str:
        return ago(key.last_used_at)

    @display(description="Made", ordering="created_at")
    def made(self, key: ApiKey) -> str:
        return when(key.created_at)

    @display(description="State", label={"Live": "success", "Revoked": "danger"})
    def state(self, key: ApiKey) -> str:
        return "Revoked" if key.revoked_at else "Live"
