"""The page where weights are tuned: what it previews, what it saves, whom it lets."""

from __future__ import annotations

from collections.abc import Callable
from time import time

import pytest
from django.http import QueryDict
from django.urls import reverse

from accounts.models import Role
from consent.models import AuditEntry, AuditPayload
from profiles.fold import EMPTY
from recommendations.admin.measuring import settings_of_draft
from recommendations.admin.personas import personas
from recommendations.admin.preview import compare_personas, snapshot_of
from recommendations.admin.tuning_form import audience_key, audience_of, field_name, read_draft, tabs
from recommendations.models import BlendVersion, Density, Placement
from recommendations.services.blends import EVERYBODY, BlendDraft, draft_of
from segments.models import Segment
from tests.admin.conftest import Staff
from tests.factories import CustomerFactory
from tests.recommendations.shop import Shop

POPULAR = {field_name(EVERYBODY, "popular"): "1", "normalisation": "max", "diversity": "0", "audience": "-:-"}


@pytest.fixture
def home(trained_shop: Shop) -> Placement:
    trained_shop.store.slug = "here"
    trained_shop.store.save()
    return Placement.objects.for_store(trained_shop.store).get(slug="home")


@pytest.fixture
def tuner(home: Placement, at_work: Callable[..., Staff]) -> Staff:
    return at_work(home.store, Role.MERCHANDISER)


def _url(name: str, placement: Placement) -> str:
    return reverse(f"admin:recommendations_placement_{name}", args=[placement.pk])


class TestPersonas:
    def test_are_at_least_four_and_the_same_each_time(self, home: Placement) -> None:
        now = time()
        assortment = snapshot_of(home.store).assortment
        first, second = personas(assortment, now), personas(assortment, now)
        assert len(first) >= 4
        assert first == second
        assert len({persona.slug for persona in first}) == len(first)

    def test_know_nothing_or_something(self, home: Placement) -> None:
        found = {persona.slug: persona for persona in personas(snapshot_of(home.store).assortment, time())}
        assert found["new"].profile == EMPTY
        assert [entry.name for entry in found["browsing"].profile.interactions] == ["Product Viewed"] * 2
        assert len(found["cart"].profile.cart) == 1
        assert len(found["regular"].profile.purchased) == 3
        assert found["browsing"].context_product is not None

    def test_an_empty_shop_has_none(self, store: object) -> None:
        assert personas(snapshot_of(store).assortment, time()) == []  # type: ignore[arg-type]


class TestPreview:
    def test_the_live_weights_change_nothing(self, home: Placement) -> None:
        live = draft_of(home.versions.get(state="published"))
        for comparison in compare_personas(home.store, home, settings_of_draft(live, {})):
            assert comparison.is_same
            assert comparison.gone == 0
            assert all(card.move == 0 for card in comparison.after.cards)

    def test_a_draft_moves_the_shelf_and_says_how(self, home: Placement) -> None:
        draft = BlendDraft({EVERYBODY: {"popular": 1.0}})
        found = {c.name: c for c in compare_personas(home.store, home, settings_of_draft(draft, {}))}
        looking = found["Just looking"]
        assert not looking.is_same
        ranks = {card.item.product.pk: card.item.rank for card in looking.before.cards}
        for card in looking.after.cards:
            before = ranks.get(card.item.product.pk)
            assert card.move == (None if before is None else before - card.item.rank)
        assert looking.gone == len(ranks.keys() - {card.item.product.pk for card in looking.after.cards})

    def test_contributions_add_up_to_the_blend(self, home: Placement) -> None:
        live = draft_of(home.versions.get(state="published"))
        for comparison in compare_personas(home.store, home, settings_of_draft(live, {})):
            for card in comparison.after.cards:
                assert sum(value for _, _, value, _ in card.parts) == pytest.approx(
                    card.item.blended, rel=1e-4
                )

    def test_shoppers_of_other_weights_come_last(self, home: Placement) -> None:
        live = draft_of(home.versions.get(state="published"))
        found = compare_personas(
            home.store, home, settings_of_draft(live, {}), audience=(None, Density.NOTHING)
        )
        assert [comparison.name for comparison in found if comparison.follows] == ["Somebody new"]
        assert found[0].name == "Somebody new"

    def test_members_of_a_segment_follow_its_weights(self, home: Placement) -> None:
        vip = Segment.objects.create(store=home.store, slug="vip", name="VIPs")
        draft = BlendDraft({EVERYBODY: {"popular": 1.0}, (vip.pk, ""): {"content": 1.0}})
        found = compare_personas(
            home.store, home, settings_of_draft(draft, {vip.pk: "VIPs"}), audience=(vip.pk, "")
        )
        assert all(comparison.follows for comparison in found)
        assert {comparison.after.source for comparison in found} == {"segment VIPs"}

    @pytest.mark.parametrize(
        "slug", ["product", "cart", "category", "email", "bought-together", "recently-viewed"]
    )
    def test_works_on_every_kind_of_placement(self, home: Placement, slug: str) -> None:
        placement = Placement.objects.for_store(home.store).get(slug=slug)
        live = draft_of(placement.versions.get(state="published"))
        assert len(compare_personas(home.store, placement, settings_of_draft(live, {}))) >= 4

    def test_saves_nothing(self, tuner: Staff, home: Placement) -> None:
        answer = tuner.client.post(_url("preview", home), POPULAR)
        html = answer.content.decode()
        assert answer.status_code == 200
        assert html.count("<article") >= 4
        assert "Live now" in html
        assert "With your weights" in html
        assert home.versions.count() == 1
        assert not AuditEntry.objects.for_store(home.store).exists()

    def test_says_what_is_wrong_with_the_weights(self, tuner: Staff, home: Placement) -> None:
        html = tuner.client.post(
            _url("preview", home), {**POPULAR, field_name(EVERYBODY, "new"): "loud"}
        ).content.decode()
        assert "&#x27;loud&#x27; is not a number." in html

    def test_explains_each_product(self, tuner: Staff, home: Placement) -> None:
        html = tuner.client.post(_url("preview", home), POPULAR).content.decode()
        assert "popovertarget=" in html
        assert "Together" in html
        assert "Popular" in html


class TestSaving:
    def test_a_draft_then_publish_then_undo(self, tuner: Staff, home: Placement) -> None:
        tuner.client.post(_url("change", home), {**POPULAR, "save": "1", "note": "Simple"})
        draft = home.versions.get(state="draft")
        assert (draft.number, draft.note, draft.created_by) == (2, "Simple", tuner.user)
        answer = tuner.client.post(_url("change", home), {**POPULAR, "publish": "1"})
        confirm = answer.headers["Location"]
        assert confirm == _url("publish", home) + "?version=2"
        assert home.versions.get(state="published").number == 1, "publishing asks first"
        page = tuner.client.get(confirm).content.decode()
        assert "Can it be undone?" in page
        tuner.client.post(confirm, {"reason": "Tidy"})
        assert home.versions.get(state="published").number == 2
        assert tuner.client.get(_url("undo", home)).status_code == 405
        tuner.client.post(_url("undo", home))
        assert home.versions.get(state="published").number == 1

    def test_weights_for_some_are_added_and_removed(self, tuner: Staff, home: Placement) -> None:
        page = tuner.client.post(_url("change", home), {**POPULAR, "add": "1", "add_audience": "-:much"})
        assert [each["tab"].key for each in page.context["audiences"]] == ["-:-", "-:much"]
        more = {**POPULAR, field_name((None, "much"), "popular"): "1", "remove": "-:much"}
        page = tuner.client.post(_url("change", home), more)
        assert [each["tab"].key for each in page.context["audiences"]] == ["-:-"]
        assert home.versions.count() == 1

    def test_an_older_version_is_looked_at_and_published_again(self, tuner: Staff, home: Placement) -> None:
        tuner.client.post(_url("change", home), {**POPULAR, "save": "1"})
        tuner.client.post(_url("publish", home) + "?version=2")
        page = tuner.client.get(_url("change", home) + "?version=1")
        assert page.context["loaded"].number == 1
        tuner.client.post(_url("publish", home) + "?version=1")
        assert home.versions.get(state="published").number == 1

    def test_settings_are_saved_by_the_usual_form(self, tuner: Staff, home: Placement) -> None:
        data = {
            "name": "Home",
            "heading": "Just for you",
            "fallback_heading": "Popular",
            "kind": "home",
            "size": 8,
            "deadline_ms": 150,
            "is_active": "on",
        }
        assert tuner.client.post(_url("settings", home), data).status_code == 302
        home.refresh_from_db()
        assert (home.heading, home.size, home.slug) == ("Just for you", 8, "home")


class TestDenied:
    @pytest.fixture
    def reader(self, home: Placement, at_work: Callable[..., Staff]) -> Staff:
        return at_work(home.store, Role.PRIVACY_OFFICER)

    @pytest.mark.parametrize("name", ["change", "publish", "undo", "discard", "preview", "settings"])
    def test_who_may_not_edit_changes_nothing(self, reader: Staff, home: Placement, name: str) -> None:
        before = list(home.versions.values_list("number", "state"))
        answer = reader.client.post(_url(name, home) + "?version=1", {**POPULAR, "save": "1"})
        assert answer.status_code == 403
        assert list(home.versions.values_list("number", "state")) == before
        assert not AuditEntry.objects.for_store(home.store).exists()


class TestRealShopper:
    def _ask(self, staff: Staff, home: Placement, **fields: str) -> str:
        return staff.client.post(
            _url("preview", home), {**POPULAR, "customer": "anna", **fields}
        ).content.decode()

    def test_needs_the_ability(self, tuner: Staff, home: Placement) -> None:
        CustomerFactory(store=home.store, external_id="anna")
        assert "Your role does not allow" in self._ask(tuner, home, customer_reason="Complaint")
        assert not AuditEntry.objects.for_store(home.store).exists()

    def test_needs_a_reason_and_is_recorded(self, home: Placement, at_work: Callable[..., Staff]) -> None:
        administrator = at_work(home.store, Role.ADMINISTRATOR)
        customer = CustomerFactory(store=home.store, external_id="anna")
        assert "Say why" in self._ask(administrator, home)
        assert not AuditEntry.objects.for_store(home.store).exists()
        html = self._ask(administrator, home, customer_reason="Complaint 12")
        assert "Customer anna" in html
        assert "They do not permit personalisation" in html, "nobody has consented for them"
        payload = AuditPayload.objects.for_store(home.store).get(entry__action="shopper.previewed")
        assert (payload.reason, payload.target) == ("Complaint 12", f"customer:{customer.public_id}")
        assert payload.actor == f"user:{administrator.user.pk}"

    def test_of_another_store_is_nobody(self, home: Placement, at_work: Callable[..., Staff]) -> None:
        CustomerFactory(external_id="anna")
        html = self._ask(at_work(home.store, Role.ADMINISTRATOR), home, customer_reason="Complaint")
        assert "There is no customer" in html


class TestForm:
    def test_reads_what_the_page_writes(self) -> None:
        data = QueryDict(mutable=True)
        data.update(
            {
                field_name(EVERYBODY, "popular"): "0.5",
                field_name((7, "much"), "new"): "2",
                "max_per_brand": "3",
                "diversity": "0.2",
            }
        )
        assert read_draft(data) == BlendDraft(
            {EVERYBODY: {"popular": 0.5}, (7, "much"): {"new": 2.0}}, max_per_brand=3, diversity=0.2
        )

    @pytest.mark.parametrize("audience", [EVERYBODY, (7, ""), (None, "little"), (7, "much")])
    def test_an_audience_survives_its_key(self, audience: tuple[int | None, str]) -> None:
        assert audience_of(audience_key(audience)) == audience

    @pytest.mark.parametrize("key", ["", "x:-", "7:whatever", "-"])
    def test_what_is_no_key_is_nobody(self, key: str) -> None:
        assert audience_of(key) is None

    def test_everybody_is_the_first_tab(self, db: None) -> None:
        found = tabs([(None, "much")], [])
        assert [tab.label for tab in found] == ["Everybody", "Everybody, 5 and more interactions"]
        assert found[0].is_everybody


def test_states_of_versions_are_named(tuner: Staff, home: Placement) -> None:
    html = tuner.client.get(_url("change", home)).content.decode()
    assert BlendVersion.State.PUBLISHED.label not in html
    assert ">live<" in html
