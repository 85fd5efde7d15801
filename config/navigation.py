"""The admin's sidebar: by what people do, and only what their roles in the current store allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from accounts.current_store import current_store, may
from accounts.permissions import Ability
from config.attention import Attention, attention_for


@dataclass(frozen=True)
class Entry:
    """`badge` names the count of `Attention` that is shown when it is not zero."""

    title: str
    icon: str
    url_name: str
    ability: Ability
    badge: str = ""


SECTIONS: list[tuple[str, list[Entry]]] = [
    ("Overview", [Entry("Did it pay?", "monitoring", "admin:index", Ability.READ_FIGURES)]),
    (
        "Shelves",
        [
            Entry(
                "Placements",
                "view_carousel",
                "admin:recommendations_placement_changelist",
                Ability.READ_SHELVES,
            ),
            Entry(
                "Rules",
                "push_pin",
                "admin:recommendations_merchandisingrule_changelist",
                Ability.READ_SHELVES,
            ),
            Entry("Experiments", "science", "admin:recommendations_experiments", Ability.READ_FIGURES),
        ],
    ),
    (
        "Shoppers",
        [
            Entry("Segments", "groups", "admin:segments_segment_changelist", Ability.READ_SEGMENTS),
            Entry("Customers", "person", "admin:accounts_customer_changelist", Ability.READ_SHOPPERS),
            Entry("Visitors", "devices", "admin:accounts_visitor_changelist", Ability.READ_SHOPPERS),
            Entry("Sessions", "schedule", "admin:tracking_session_changelist", Ability.READ_SHOPPERS),
            Entry("Orders", "receipt_long", "admin:tracking_order_changelist", Ability.READ_SHOPPERS),
            Entry("Events", "stream", "admin:tracking_event_changelist", Ability.READ_SHOPPERS),
        ],
    ),
    (
        "Catalogue",
        [
            Entry("Products", "inventory_2", "admin:catalog_product_changelist", Ability.READ_CATALOG),
            Entry("Categories", "account_tree", "admin:catalog_category_changelist", Ability.READ_CATALOG),
            Entry("Brands", "sell", "admin:catalog_brand_changelist", Ability.READ_CATALOG),
        ],
    ),
    (
        "Models",
        [
            Entry(
                "Versions",
                "model_training",
                "admin:recommendations_modelversion_changelist",
                Ability.READ_MODELS,
            ),
            Entry(
                "Training",
                "sprint",
                "admin:recommendations_trainingrun_changelist",
                Ability.READ_MODELS,
                "failed_runs",
            ),
            Entry("Quality", "insights", "admin:recommendations_quality", Ability.READ_MODELS),
            Entry("What data carry", "fact_check", "admin:recommendations_data_audit", Ability.READ_MODELS),
            Entry(
                "Event weights",
                "balance",
                "admin:recommendations_eventweight_changelist",
                Ability.READ_MODELS,
            ),
        ],
    ),
    (
        "Data quality",
        [
            Entry("Data sources", "input", "admin:tracking_sources", Ability.READ_DATA_QUALITY),
            Entry("Debugger", "sensors", "admin:tracking_debugger", Ability.READ_DATA_QUALITY),
            Entry(
                "Review list",
                "checklist",
                "admin:tracking_finding_changelist",
                Ability.READ_DATA_QUALITY,
                "findings_open",
            ),
            Entry(
                "Quarantine",
                "report",
                "admin:tracking_quarantinedevent_changelist",
                Ability.READ_DATA_QUALITY,
                "quarantine_open",
            ),
            Entry("Imports", "upload_file", "admin:tracking_importrun_changelist", Ability.READ_DATA_QUALITY),
            Entry(
                "Bulk work",
                "library_add_check",
                "admin:tracking_quarantinejob_changelist",
                Ability.READ_DATA_QUALITY,
            ),
            Entry("Not stored", "block", "admin:tracking_discardcount_changelist", Ability.READ_DATA_QUALITY),
            Entry("Identity links", "link", "admin:accounts_identitylink_changelist", Ability.READ_SHOPPERS),
            Entry("Merges", "merge", "admin:accounts_customermerge_changelist", Ability.READ_SHOPPERS),
            Entry(
                "Kept apart", "call_split", "admin:accounts_customersapart_changelist", Ability.READ_SHOPPERS
            ),
        ],
    ),
    (
        "Privacy",
        [
            Entry(
                "Requests",
                "contact_mail",
                "admin:consent_datasubjectrequest_changelist",
                Ability.READ_PRIVACY,
                "requests_urgent",
            ),
            Entry(
                "Consent records", "task_alt", "admin:consent_consentrecord_changelist", Ability.READ_PRIVACY
            ),
            Entry("Notices", "article", "admin:consent_notice_changelist", Ability.READ_PRIVACY),
            Entry("Regions", "public", "admin:consent_regionmode_changelist", Ability.READ_PRIVACY),
            Entry("Suppressions", "person_off", "admin:consent_suppression_changelist", Ability.READ_PRIVACY),
            Entry(
                "Handling", "rule_settings", "admin:consent_requestpolicy_changelist", Ability.READ_PRIVACY
            ),
            Entry(
                "Policies", "policy", "admin:consent_policy_changelist", Ability.READ_PRIVACY, "reviews_late"
            ),
            Entry(
                "Record of processing",
                "description",
                "admin:consent_processing_record",
                Ability.READ_PRIVACY,
            ),
            Entry("Audit log", "history", "admin:consent_auditentry_changelist", Ability.READ_PRIVACY),
        ],
    ),
    (
        "Settings",
        [
            Entry("Store", "storefront", "admin:accounts_store_changelist", Ability.MANAGE_STORE),
            Entry("Team", "badge", "admin:accounts_storemembership_changelist", Ability.MANAGE_STORE),
            Entry("API keys", "key", "admin:accounts_apikey_changelist", Ability.MANAGE_STORE),
            Entry("Data layers", "layers", "admin:tracking_eventmapping_changelist", Ability.MANAGE_STORE),
        ],
    ),
]


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Sections as django-unfold wants them; a section without a permitted entry is left out."""
    store = current_store(request)
    attention = attention_for(store) if store else Attention()
    sections = []
    for title, entries in SECTIONS:
        items = [_item(entry, attention) for entry in entries if may(request, entry.ability)]
        if items:
            sections.append({"title": title, "items": items})
    return sections


def _item(entry: Entry, attention: Attention) -> dict[str, Any]:
    item: dict[str, Any] = {"title": entry.title, "icon": entry.icon, "link": reverse(entry.url_name)}
    count = getattr(attention, entry.badge) if entry.badge else 0
    if count:
        item |= {"badge": f"{count:,}", "badge_variant": "danger"}
    return item
