from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from accounts.models import Customer, Store
from accounts.models.customer import ProfileSource
from accounts.services.customers import customer_upsert
from recommendations.models import StatedTaste
from recommendations.selectors.shoppers import read_known_shopper
from recommendations.serving import subjects
from recommendations.shelf import Shopper


@transaction.atomic
def taste_state(*, store: Store, shopper: Shopper, interests: Sequence[tuple[str, str]]) -> bool:
    """Keep what the shopper says they like, (kind, value) pairs, instead of what they said before; nothing deletes it.

    A customer's words go into their profile, where the page of interests has them; anybody else's hang on the browser's tracking id.
    False, and nothing is kept, for who does not permit personalisation, or has paused it. Counts from the next page on.
    """
    known = read_known_shopper(store, shopper)
    if shopper.has_paused or not known.may_personalise:
        return False
    said = [{"kind": kind, "value": value} for kind, value in dict.fromkeys(interests)]
    customers = Customer.objects.for_store(store)
    customer = None if known.customer_pk is None else customers.filter(pk=known.customer_pk).first()
    if customer is not None:
        customer_upsert(
            store=store,
            external_id=customer.external_id,
            profile={"interests": said},
            source=ProfileSource.DECLARED,
            origin="taste quiz",
        )
    if known.visitor_id is not None:
        # What the browser said before its customer was known would otherwise stand beside the new words.
        mine = StatedTaste.objects.for_store(store).filter(visitor_id=known.visitor_id)
        if customer is not None or not said:
            mine.delete()
        else:
            StatedTaste.all_stores.update_or_create(
                store=store, visitor_id=known.visitor_id, defaults={"interests": said}
            )
    subjects.invalidate(
        store.pk,
        anonymous_ids=[shopper.anonymous_id] if shopper.anonymous_id else (),
        customer_ids=[customer.external_id] if customer is not None else (),
    )
    return True
