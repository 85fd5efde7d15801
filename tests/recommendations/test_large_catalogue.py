"""Reading a large catalogue again must not hold up the shelf that happens to ask next."""

from __future__ import annotations

import threading
from time import monotonic

import pytest

from catalog.models import Product
from recommendations.pipeline import recommend
from recommendations.serving import store_state, versions
from recommendations.serving.versions import Part
from recommendations.shelf import RecommendationRequest
from tests.recommendations.shop import make_shop


def shown(request: RecommendationRequest) -> set[str]:
    return set(recommend(request).product_ids)


@pytest.mark.django_db(transaction=True)
def test_a_removed_product_goes_while_shelves_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_state, "LARGE_CATALOGUE", 10)
    shop = make_shop()
    request = RecommendationRequest(shop.store, "home", limit=100)
    assert "tents-3" in shown(request)
    state = store_state.of_store(shop.store.pk)
    readers: list[str] = []
    read = store_state._read_catalogue

    def noted(store_id: int) -> store_state.ReadCatalogue:
        readers.append(threading.current_thread().name)
        return read(store_id)

    monkeypatch.setattr(store_state, "_read_catalogue", noted)
    Product.objects.for_store(shop.store).get(external_id="tents-3").delete()
    versions._increment(shop.store.pk, Part.CATALOGUE)
    deadline = monotonic() + 20
    while "tents-3" in shown(request):
        assert monotonic() < deadline, "the product is still shown"
    reload = f"catalogue-reload-{shop.store.pk}"
    assert readers == [reload]
    # It looks for what changed meanwhile, for which it needs a database longer than the shelf needs it.
    for thread in threading.enumerate():
        if thread.name == reload:
            thread.join()
    assert state.snapshot is not None
    assert len(state.snapshot.assortment) == 39
    assert "tents-4" in shown(request)
