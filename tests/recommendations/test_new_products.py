"""Products that were imported since the last training stand on shelves a minute later, ranked by what they are like."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from algorithms.new_items import NewItems
from algorithms.types import Query
from catalog.models import Product
from recommendations.model_store import arrivals as model_arrivals
from recommendations.model_store import folder as model_folder
from recommendations.model_store.folder import StoredModel
from recommendations.model_store.revision import revise
from recommendations.models import BlendVersion, ModelVersion
from recommendations.pipeline import recommend
from recommendations.serving import store_state, versions
from recommendations.serving.versions import Part
from recommendations.shelf import RecommendationRequest, Shopper
from recommendations.tasks import catch_up_models, describe_new_products
from recommendations.training.catching_up import catch_up, catch_up_products
from recommendations.training.run import train
from tests.factories import ProductFactory, VisitorFactory
from tests.recommendations.shop import Shop, consenting_visitor, event
from tracking.models import Event


def live_folder(shop: Shop, model_dir: Path) -> Path:
    return model_dir / ModelVersion.objects.for_store(shop.store).get(state="live").folder


def live_model(shop: Shop, model_dir: Path) -> StoredModel:
    return model_folder.load(live_folder(shop, model_dir), with_tail=True)


def imported(shop: Shop, external_id: str, like: str = "tents-0", name: str = "") -> Product:
    """A product imported now, described as another is."""
    model = shop.products[like]
    product: Product = ProductFactory(
        store=shop.store, external_id=external_id, name=name or model.name, description=model.description,
        category=model.category, brand=model.brand, price_minor_units=model.price_minor_units, published_at=None,
    )  # fmt: skip
    shop.products[external_id] = product
    return product


def test_a_product_imported_now_is_described_and_scored_without_a_training(
    trained_shop: Shop, model_dir: Path
) -> None:
    before = live_model(trained_shop, model_dir)
    imported(trained_shop, "tents-new")
    imported(trained_shop, "lamps-new", like="lamps-1")
    assert catch_up_products(trained_shop.store) == 2
    after = live_model(trained_shop, model_dir)
    assert after.item_ids == (*before.item_ids, "tents-new", "lamps-new")
    now = datetime.now(UTC).timestamp()
    query = Query.of([after.item_ids.index("tents-0")], now=now)
    content, new_items = after.strategies["content"].score(query), after.strategies["new_items"].score(query)
    assert len(content) == len(new_items) == len(before.item_ids) + 2
    # The same words, category, brand and price as what the shopper looks at: nothing can be more alike.
    assert content[-2] == content.max()
    assert new_items[-2] > new_items[-1] > 0
    assert not new_items[:-2].any(), "products that came 200 days ago are not new"
    assert len(after.strategies["item_knn"].score(query)) == len(before.item_ids)


def test_a_new_product_stands_on_the_shelf_of_new_arrivals_after_one_round(
    trained_shop: Shop, model_dir: Path, django_capture_on_commit_callbacks: Any
) -> None:
    visitor, shopper = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "boots-3", "boots-4")
    asked = RecommendationRequest(trained_shop.store, "new", shopper=shopper, limit=4)
    assert not any(item.strategies for item in recommend(asked).items), "nothing is new yet"
    for n in range(3):
        imported(trained_shop, f"lamps-new-{n}", like="lamps-2")
    imported(trained_shop, "boots-new", like="boots-4", name="Boots 4, the next edition")
    versions._increment(trained_shop.store.pk, Part.CATALOGUE)
    with django_capture_on_commit_callbacks(execute=True):
        assert describe_new_products() == 4
    deadline = datetime.now(UTC) + timedelta(seconds=20)
    while "new_items" not in (first := recommend(asked).items[0]).strategies:
        assert datetime.now(UTC) < deadline, "the process did not take up what was described"
    assert first.product.external_id == "boots-new"
    assert first.reason.code == "new_like"
    assert first.reason.text.startswith("New, like Boots ")
    assert first.reason.text.endswith(" that you viewed")
    assert describe_new_products() == 0, "the same products again are no news"


def test_a_new_product_takes_a_reserved_place(
    trained_shop: Shop, model_dir: Path, django_capture_on_commit_callbacks: Any
) -> None:
    """Among all products it drowns; the one kept for newcomers that fits best stands on the shelf."""
    visitor, shopper = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "boots-3", "boots-4")
    trained_shop.set_weights("home", {"session_knn": 1.0})
    imported(trained_shop, "lamps-new", like="lamps-2")
    imported(trained_shop, "boots-new", like="boots-4")
    with django_capture_on_commit_callbacks(execute=True):
        describe_new_products()

    def new_on_shelf() -> list[str]:
        store_state.forget_all()
        shelf = recommend(RecommendationRequest(trained_shop.store, "home", shopper=shopper, limit=4))
        return [i.product.external_id for i in shelf.items if i.product.external_id.endswith("-new")]

    assert new_on_shelf() == []
    BlendVersion.objects.for_store(trained_shop.store).filter(placement__slug="home").update(
        rerank={"new_slots": 1}
    )
    assert new_on_shelf() == ["boots-new"]


def test_visits_to_a_new_product_count_before_the_next_training(trained_shop: Shop, model_dir: Path) -> None:
    imported(trained_shop, "tents-new")
    begun = datetime.now(UTC)
    for n in range(3):
        visitor = VisitorFactory(store=trained_shop.store)
        Event.all_stores.bulk_create(
            event(trained_shop.store, product_id, begun + timedelta(minutes=n + place), visitor)
            for place, product_id in enumerate(("kettles-5", "tents-new"))
        )
    later = begun + timedelta(hours=2)
    assert catch_up(trained_shop.store, later).visits == 3  # type: ignore[union-attr]
    model = live_model(trained_shop, model_dir)
    query = Query.of([model.item_ids.index("kettles-5")], now=later.timestamp())
    new = model.item_ids.index("tents-new")
    for name in ("viewed_next", "session_knn", "new_items"):
        assert model.strategies[name].score(query)[new] > 0, name
        assert model.strategies[name].trigger(query, new) is not None, name


def test_numbers_of_new_products_stay_their_own(trained_shop: Shop, model_dir: Path) -> None:
    first, second = imported(trained_shop, "tents-a"), imported(trained_shop, "tents-b", like="tents-1")
    catch_up_products(trained_shop.store)
    trained = live_model(trained_shop, model_dir).manifest.n_items
    first.delete()
    imported(trained_shop, "tents-c", like="tents-2")
    assert catch_up_products(trained_shop.store) == 1
    model = live_model(trained_shop, model_dir)
    assert model.item_ids[trained:] == ("tents-a", "tents-b", "tents-c")
    of_the_gone = model.strategies["content"].score(
        Query.of([model.item_ids.index("tents-0")], now=second.created_at.timestamp())
    )[trained]
    assert of_the_gone == 0


def test_what_cannot_be_read_is_described_again(trained_shop: Shop, model_dir: Path) -> None:
    imported(trained_shop, "tents-new")
    catch_up_products(trained_shop.store)
    path = live_folder(trained_shop, model_dir) / model_arrivals.FILE_NAME
    path.write_bytes(path.read_bytes()[:100])
    assert "tents-new" not in live_model(trained_shop, model_dir).item_ids
    assert catch_up_products(trained_shop.store) == 1
    assert "tents-new" in live_model(trained_shop, model_dir).item_ids


def test_a_tail_that_speaks_of_products_without_description_is_left_out(
    trained_shop: Shop, model_dir: Path
) -> None:
    imported(trained_shop, "tents-new")
    begun = datetime.now(UTC)
    visitor = VisitorFactory(store=trained_shop.store)
    Event.all_stores.bulk_create([event(trained_shop.store, "tents-new", begun, visitor)])
    catch_up(trained_shop.store, begun + timedelta(hours=2))
    assert live_model(trained_shop, model_dir).known_until > begun.timestamp()
    (live_folder(trained_shop, model_dir) / model_arrivals.FILE_NAME).unlink()
    model = live_model(trained_shop, model_dir)
    assert model.known_until == model.manifest.data_until
    catch_up_models()
    assert "tents-new" in live_model(trained_shop, model_dir).item_ids


def test_a_version_without_vocabulary_waits_for_the_next_training(
    trained_shop: Shop, model_dir: Path
) -> None:
    (live_folder(trained_shop, model_dir) / model_arrivals.SPACE_FILE_NAME).unlink()
    imported(trained_shop, "tents-new")
    assert catch_up_products(trained_shop.store) == 0
    assert "tents-new" not in live_model(trained_shop, model_dir).item_ids


def test_without_a_live_version_nothing_is_described(busy_shop: Shop) -> None:
    assert catch_up_products(busy_shop.store) == 0


def test_a_version_written_anew_keeps_its_new_products(trained_shop: Shop, model_dir: Path) -> None:
    imported(trained_shop, "tents-new")
    catch_up_products(trained_shop.store)
    folder = live_folder(trained_shop, model_dir)
    tombstones = np.load(folder / "erasure" / "tombstones.npy")
    tombstones[0] = True
    np.save(folder / "erasure" / "tombstones.npy", tombstones)
    new = revise(folder)
    assert new is not None
    assert model_folder.load(new, with_tail=True).item_ids[-1] == "tents-new"
    assert model_arrivals.read_space(new) == model_arrivals.read_space(folder) is not None


def test_catching_up_gives_what_a_training_gives_of_new_products(busy_shop: Shop, model_dir: Path) -> None:
    """Words of the new texts were known, and what is common changes little: the order is the same."""
    train(busy_shop.store, recipe={"new_items": {}}, consent="A small shop")
    visitor = VisitorFactory(store=busy_shop.store)
    imported(busy_shop, "tents-new", like="tents-3")
    imported(busy_shop, "boots-new", like="boots-3")
    begun = datetime.now(UTC) - timedelta(minutes=50)
    Event.all_stores.bulk_create(
        event(busy_shop.store, product_id, begun + timedelta(minutes=n), visitor)
        for n, product_id in enumerate(("tents-3", "tents-new"))
    )
    catch_up(busy_shop.store, datetime.now(UTC) + timedelta(minutes=40))
    caught_up = live_model(busy_shop, model_dir)
    version = train(busy_shop.store, recipe={"new_items": {}}, consent="A small shop").version
    whole = model_folder.load(model_dir / version.folder)
    now = datetime.now(UTC).timestamp()
    for model in (caught_up, whole):
        strategy = model.strategies["new_items"]
        assert isinstance(strategy, NewItems)
        items, scores = strategy.score_new(Query.of([model.item_ids.index("tents-3")], now=now))
        ranked = [model.item_ids[item] for item in items[np.argsort(-scores)]]
        assert ranked == ["tents-new", "boots-new"]


def test_shoppers_without_consent_see_new_products_by_demand(
    trained_shop: Shop, model_dir: Path, django_capture_on_commit_callbacks: Any
) -> None:
    imported(trained_shop, "kettles-new", like="kettles-1")
    versions._increment(trained_shop.store.pk, Part.CATALOGUE)
    with django_capture_on_commit_callbacks(execute=True):
        describe_new_products()
    store_state.forget_all()
    shelf = recommend(
        RecommendationRequest(trained_shop.store, "new", shopper=Shopper(anonymous_id="nobody"), limit=3)
    )
    assert [item.product.external_id for item in shelf.items] == ["kettles-new"]
    assert shelf.items[0].reason.code == "new"
