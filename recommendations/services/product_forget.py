from __future__ import annotations

from typing import Any

from django.db import transaction

from accounts.models import Store
from recommendations.models import ForgottenProduct
from recommendations.selectors.shoppers import read_known_shopper
from recommendations.serving import subjects
from recommendations.shelf import Shopper


@transaction.atomic
def product_forget(*, store: Store, shopper: Shopper, product_id: str) -> bool:
    """Keep a product off this shopper's shelves and out of their taste, from the next page on.

    False, and nothing is kept, for who may not be recognised: there is nobody to remember it for. Harmless to repeat.
    """
    known = read_known_shopper(store, shopper)
    if not known.may_personalise:
        return False
    person: dict[str, Any] = (
        {"customer_id": known.customer_pk, "visitor_id": None}
        if known.customer_pk is not None
        else {"customer_id": None, "visitor_id": known.visitor_id}
    )
    ForgottenProduct.all_stores.get_or_create(store=store, product_id=product_id, **person)
    subjects.invalidate(
        store.pk,
        anonymous_ids=[shopper.anonymous_id] if shopper.anonymous_id else (),
        customer_ids=[shopper.customer_id] if shopper.customer_id else (),
    )
    return True
