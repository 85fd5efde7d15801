"""Data layers: the one tag for pages that are tagged already, and what their own events and variables mean to us."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.admin.filters import value_filter
from accounts.admin.scoped import ScopedAdmin, ScopedModelForm
from accounts.current_store import current_store, require, require_store, staff_user
from accounts.keys import public_write_key
from accounts.permissions import Ability
from tracking.debugging.mends import MENDS
from tracking.ingestion.minimising import without_identifiers
from tracking.ingestion.properties import Faulty, check_properties
from tracking.models import EventMapping
from tracking.models.event_mapping import ANY_EVENT, IGNORED
from tracking.services.event_mappings import (
    TARGETS,
    event_mapping_delete,
    event_mapping_save,
    event_mappings_delivered,
    mapping_check,
)
from tracking.services.tag_templates import gtm_template
from tracking.snippet import data_layer_tag
from tracking.vocabulary import RULES

MOST_CHECKED: Final = 200
MAX_CHECKED_BYTES: Final = 256 * 1024
EMPTY_ROWS: Final = 3
# Of the vocabulary; anything else may be written as well.
PROPERTIES: Final = (
    "product_id", "name", "brand", "category", "variant", "price", "currency", "quantity", "position", "list_id", "query", "cart_id",
    "order_id", "total", "revenue", "subtotal", "shipping", "tax", "discount", "coupon", "payment_method", "value", "url", "image_url",
    "products", "products.product_id", "products.name", "products.price", "products.quantity",
)  # fmt: skip
EXAMPLES: Final = {
    EventMapping.Layer.GOOGLE: """dataLayer.push({
  event: "%s",
  ecommerce: {
    currency: "EUR",
    items: [{
      item_id: "tent-1", item_name: "Tent",
      price: 199.5, quantity: 1
    }]
  }
});""",
    EventMapping.Layer.ADOBE: """adobeDataLayer.push({
  event: "%s",
  eventInfo: {
    productContext: {
      sku: "tent-1", name: "Tent",
      pricing: { regularPrice: 199.5, currencyCode: "EUR" }
    }
  }
});""",
}
_TARGET_CHOICES: Final = [
    ("", "What it is anyway"),
    (IGNORED, "Nothing: leave it out"),
    ("Our events", [(name, name) for name in TARGETS]),
]


class PropertyRows(forms.Widget):
    """Pairs of inputs, a few of them empty. Its value is a list of (property, path) as typed."""

    template_name = "admin/tracking/property_rows.html"
    original = ""

    def get_context(self, name: str, value: Any, attrs: Mapping[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, dict(attrs or {}))
        pairs = list(value.items()) if isinstance(value, dict) else list(value or [])
        rows = [*pairs, *[("", "")] * EMPTY_ROWS]
        context["widget"] |= {"rows": rows, "known": PROPERTIES, "original": self.original}
        return context

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        # Not by the forms' own renderer, which knows only the templates of apps.
        return render_to_string(self.template_name, self.get_context(name, value, attrs))

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[tuple[str, str]]:
        names, paths = data.getlist(f"{name}-name"), data.getlist(f"{name}-path")
        pairs = [(first.strip(), second.strip()) for first, second in zip(names, paths, strict=False)]
        return [pair for pair in pairs if any(pair)]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False

    def id_for_label(self, id_: str) -> str:
        return ""


class PropertyRowsField(forms.Field):
    widget = PropertyRows

    def to_python(self, value: Any) -> dict[str, str]:
        pairs: list[tuple[str, str]] = list(value.items()) if isinstance(value, dict) else list(value or [])
        names = [name for name, _ in pairs]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValidationError(f"`{twice[0]}` stands in two rows: keep one of them.")
        if half := [path for name, path in pairs if not name]:
            raise ValidationError(f"`{half[0]}`: say which property of ours it fills.")
        return dict(pairs)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return dict(initial or {}) != dict(data or [])


class EventMappingForm(ScopedModelForm):
    target_event = forms.ChoiceField(
        label="Becomes",
        choices=_TARGET_CHOICES,
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text="“What it is anyway” keeps the built-in translation, and only fills the properties below.",
    )
    properties = PropertyRowsField(
        required=False,
        help_text="A variable is a path in the push, else in what the layer was told before: customVar.sku, cart.lines[0].id. "
        'A constant stands in double quotes: "EUR". For lists of your own, fill products with the path of the lines, and '
        "products.product_id with a path within each line.",
    )

    class Meta:
        model = EventMapping
        fields = ("layer", "source_event", "target_event", "properties", "is_active", "note")
        help_texts = {
            "source_event": "As it is pushed, such as productDetail. A star (*) stands for every event of the layer."
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "properties" in self.fields:
            widget = self.fields["properties"].widget
            widget.original = f"{self.instance.layer} {self.instance.source_event}"

    def _get_validation_exclusions(self) -> set[str]:
        # What is unique within the store is checked below, with words that help.
        return super()._get_validation_exclusions() | {"store"}

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if not self.errors:
            try:
                mapping_check(self.instance)
            except ValidationError as error:
                self.add_error(None, error)


@admin.register(EventMapping)
class EventMappingAdmin(ScopedAdmin):
    view_ability = Ability.MANAGE_STORE
    add_ability = Ability.MANAGE_STORE
    change_ability = Ability.MANAGE_STORE
    delete_ability = Ability.MANAGE_STORE
    form = EventMappingForm
    intro = (
        "Pages that are tagged for GA4 or Adobe need one tag more. Their standard events are understood as they are; "
        "name here what your own events and variables mean. Pages follow within five minutes."
    )
    empty_title = "No mappings"
    empty_text = "Standard events of GA4 and Adobe need none. Add one for an event or a variable of your own, and try it above."
    list_before_template = "admin/tracking/mapping_list.html"
    change_form_after_template = "admin/tracking/mapping_form_after.html"
    list_display = ("source", "becomes", "filled", "layer_name", "is_active", "note")
    list_filter = (
        ("layer", ChoicesDropdownFilter),
        value_filter("target_event", "becomes"),
        ("is_active", BooleanRadioFilter),
    )
    search_fields = ("source_event__icontains", "target_event__icontains", "note__icontains")
    search_help_text = "Event, ours or the page's, or note"
    ordering = ("layer", "source_event")
    list_select_related = ()
    fieldsets = (
        (None, {"fields": (("layer", "source_event", "target_event"),)}),
        (None, {"fields": ("properties", ("is_active", "note"))}),
    )
    export_columns = {
        "layer": "layer",
        "source_event": "source_event",
        "target_event": "target_event",
        "properties": lambda row: json.dumps(row.properties, ensure_ascii=False, sort_keys=True),
        "is_active": "is_active",
        "note": "note",
    }

    @property
    def media(self) -> forms.Media:
        return super().media + forms.Media(
            css={"all": ["etalage/admin/mapping.css"]},
            js=[forms.Script("etalage/admin/mapping-test.js", type="module")],  # type: ignore[list-item]
        )

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("check/", wrap(self.check_view), name="tracking_eventmapping_check"),
            path("etalage.tpl", wrap(self.template_view), name="tracking_eventmapping_template"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, {**self._shown(request), **(extra_context or {})})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        mapping = self.get_object(request, object_id) if object_id else None
        shown = self._shown(request, mapping)
        return super().changeform_view(request, object_id, form_url, {**shown, **(extra_context or {})})

    def _shown(self, request: HttpRequest, mapping: EventMapping | None = None) -> dict[str, Any]:
        """For the tag and the test field: nothing for who may not see it."""
        store = current_store(request)
        if store is None or not self.has_view_permission(request):
            return {}
        key = public_write_key(store)
        source = request.build_absolute_uri(reverse("tracking:script_file", args=["datalayer.js"]))
        return {
            "tag": data_layer_tag(source, key) if key else "",
            "mappings": event_mappings_delivered(store),
            "example": _example(mapping),
        }

    def check_view(self, request: HttpRequest) -> JsonResponse:
        """POST `{"events": [{event, properties}]}`: what validation would say of each. Nothing is stored."""
        require(request, Ability.MANAGE_STORE)
        try:
            if request.method != "POST" or len(request.body) > MAX_CHECKED_BYTES:
                raise ValueError
            events = json.loads(request.body)["events"][:MOST_CHECKED]
            verdicts = [_verdict(str(each["event"]), dict(each["properties"])) for each in events]
        except (ValueError, TypeError, KeyError, RecursionError):
            return JsonResponse(
                {"message": 'POST {"events": [{"event": …, "properties": {…}}]}.'}, status=400
            )
        return JsonResponse({"verdicts": verdicts})

    def template_view(self, request: HttpRequest) -> HttpResponse:
        """The template for Google Tag Manager with this Etalage's host and the store's key in it."""
        require(request, Ability.MANAGE_STORE)
        key = public_write_key(require_store(request))
        if not key:
            raise Http404("The store has no key for browsers: make one under Settings → API keys.")
        text = gtm_template(origin=request.build_absolute_uri("/"), write_key=key)
        return HttpResponse(
            text,
            content_type="text/plain; charset=utf-8",
            headers={
                "Content-Disposition": 'attachment; filename="etalage.tpl"',
                "Cache-Control": "no-store",
            },
        )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.store = require_store(request)
        event_mapping_save(mapping=obj, actor=staff_user(request))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        event_mapping_delete(mapping=obj, actor=staff_user(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for mapping in queryset.select_related("store"):
            event_mapping_delete(mapping=mapping, actor=staff_user(request))

    def _record(self, request: HttpRequest, obj: Any, verb: str, details: dict[str, Any]) -> None:
        """The services have recorded it, with what was changed."""

    @display(description="In the data layer", ordering="source_event")
    def source(self, mapping: EventMapping) -> str:
        return "every event" if mapping.source_event == ANY_EVENT else mapping.source_event

    @display(description="Becomes", ordering="target_event")
    def becomes(self, mapping: EventMapping) -> str:
        names = {"": "what it is anyway", IGNORED: "nothing"}
        return names.get(mapping.target_event, mapping.target_event)

    @display(description="Filled from variables")
    def filled(self, mapping: EventMapping) -> str:
        return ", ".join(mapping.properties) or "–"

    @display(description="Layer", ordering="layer")
    def layer_name(self, mapping: EventMapping) -> str:
        return "dataLayer" if mapping.layer == EventMapping.Layer.GOOGLE else "adobeDataLayer"


def _example(mapping: EventMapping | None) -> str:
    if mapping is None or mapping.source_event == ANY_EVENT:
        return EXAMPLES[EventMapping.Layer.GOOGLE] % "add_to_cart"
    # A name may hold quotes: JSON writes it as a script does.
    return (
        EXAMPLES[EventMapping.Layer(mapping.layer)]
        % json.dumps(mapping.source_event, ensure_ascii=False)[1:-1]
    )


def _verdict(event: str, properties: dict[str, Any]) -> dict[str, str]:
    try:
        check_properties(without_identifiers(properties), RULES.get(event))
    except Faulty as fault:
        return {"fault": fault.detail, "mend": MENDS.get(fault.reason, "")}
    return {"fault": "", "mend": ""}
