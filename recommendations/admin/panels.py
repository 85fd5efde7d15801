"""What recommendations add to a shopper's page: what shelves showed them, what they clicked, what they never want to see."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from accounts.admin.panels import Panel, register
from accounts.models import Customer, Visitor
from accounts.permissions import Ability
from accounts.selectors.persons import record_ids_of
from catalog.models import Product
from recommendations.models import ForgottenProduct, Impression, ImpressionClick

SHOWN = 24


def _shelves(request: HttpRequest, subject: Customer | Visitor) -> dict[str, Any] | None:
    who: dict[str, Any] = (
        {"customer__in": record_ids_of(subject)} if isinstance(subject, Customer) else {"visitor": subject}
    )
    store_id = subject.store_id
    seen = list(Impression.objects.for_store(store_id).filter(**who).order_by("-seen_at", "rank")[:SHOWN])
    forgotten = list(
        ForgottenProduct.objects.for_store(store_id).filter(**who).order_by("-forgotten_at")[:SHOWN]
    )
    if not seen and not forgotten:
        return None
    requests = {impression.request_id for impression in seen}
    clicked = set(
        ImpressionClick.objects.for_store(store_id)
        .filter(request_id__in=requests)
        .values_list("request_id", "product_id")
    )
    names = _names(store_id, [row.product_id for row in seen] + [row.product_id for row in forgotten])
    return {
        "impressions": [
            (row, names.get(row.product_id, row.product_id), (row.request_id, row.product_id) in clicked)
            for row in seen
        ],
        "forgotten": [(row, names.get(row.product_id, row.product_id)) for row in forgotten],
        "most": SHOWN,
    }


def _names(store_id: int, product_ids: list[str]) -> dict[str, str]:
    products = Product.objects.for_store(store_id).filter(external_id__in=product_ids)
    return dict(products.values_list("external_id", "name"))


register(Panel("shelves", 40, Ability.READ_SHOPPERS, "admin/recommendations/panel.html", _shelves))
