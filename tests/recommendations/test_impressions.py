"""What was seen and clicked, as the log tells it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from consent.purposes import Purpose
from recommendations import impressions
from recommendations.models import Impression, ImpressionClick
from recommendations.pipeline import recommend
from recommendations.serving.tokens import impression_token
from recommendations.shelf import RecommendationRequest, Shelf
from tests.factories import VisitorFactory
from tests.recommendations.shop import Shop
from tracking.folding import LoggedEvent

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def shelf(trained_shop: Shop) -> Shelf:
    return recommend(RecommendationRequest(trained_shop.store, "home", limit=3))


def told(shop: Shop, shelf: Shelf, name: str = impressions.VIEWED, **properties: object) -> LoggedEvent:
    item = shelf.items[1]
    return LoggedEvent(
        id=uuid4(),
        message_id=uuid4().hex,
        type=1,
        name=name,
        visitor_id=VisitorFactory(store=shop.store).pk,
        customer_id=None,
        product_id=item.product.external_id,
        occurred_at=NOW,
        received_at=NOW,
        purposes=int(Purpose.ANALYTICS),
        is_bot=False,
        is_trusted=False,
        properties={"token": impression_token(shop.store.pk, shelf), **properties},
    )


def test_a_seen_product_is_an_impression_by_the_token_not_by_the_page(
    trained_shop: Shop, shelf: Shelf
) -> None:
    event = told(
        trained_shop, shelf, rank=99, variant="personalised", placement="cart", request_id=str(uuid4())
    )
    impressions.apply(trained_shop.store.pk, [event])
    row = Impression.objects.for_store(trained_shop.store).get()
    assert (row.request_id, row.placement, row.rank, row.variant, row.model_version) == (
        shelf.request_id,
        "home",
        2,
        "non_personal",
        1,
    )
    assert (row.strategy, row.visitor_id, row.seen_at) == (shelf.items[1].strategy, event.visitor_id, NOW)


def test_folding_again_counts_once(trained_shop: Shop, shelf: Shelf) -> None:
    event = told(trained_shop, shelf)
    for _ in range(2):
        impressions.apply(trained_shop.store.pk, [event, event])
    impressions.apply(trained_shop.store.pk, [told(trained_shop, shelf, impressions.CLICKED)])
    assert Impression.objects.for_store(trained_shop.store).count() == 1
    assert ImpressionClick.objects.for_store(trained_shop.store).count() == 1
    impressions.reset(trained_shop.store.pk)
    assert not Impression.objects.for_store(trained_shop.store).exists()


def test_what_does_not_count(trained_shop: Shop, shelf: Shelf) -> None:
    good = told(trained_shop, shelf)
    other_store = good._replace(properties={"token": impression_token(trained_shop.store.pk + 1, shelf)})
    plain = {"request_id": str(uuid4()), "placement": "home", "rank": 1, "variant": "control"}
    bad = [
        good._replace(is_bot=True),
        good._replace(purposes=int(Purpose.PERSONALISATION)),
        good._replace(visitor_id=None),
        good._replace(product_id="never-shown"),
        good._replace(properties={"token": "forged"}),
        other_store,
        good._replace(properties=plain),  # a browser's own word
        good._replace(properties={"request_id": "no id", "placement": "home"}, is_trusted=True),
    ]
    impressions.apply(trained_shop.store.pk, bad)
    assert not Impression.objects.for_store(trained_shop.store).exists()


def test_the_shops_server_is_believed(trained_shop: Shop, shelf: Shelf) -> None:
    """An e-mail's shelf, told by the server that sent it."""
    plain = {
        "request_id": str(UUID(int=7)),
        "placement": "email",
        "rank": 4,
        "strategy": "als",
        "variant": "personalised",
    }
    impressions.apply(
        trained_shop.store.pk, [told(trained_shop, shelf)._replace(properties=plain, is_trusted=True)]
    )
    row = Impression.objects.for_store(trained_shop.store).get()
    assert (row.request_id, row.placement, row.rank, row.strategy, row.model_version) == (
        UUID(int=7),
        "email",
        4,
        "als",
        None,
    )
