from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from accounts import keys
from accounts.models import Scope
from accounts.services import api_key_create
from segments.models import Segment
from segments.services import default_segments_create, segments_recompute
from tests.factories import CustomerFactory, StoreFactory, VisitorFactory
from tests.segments.log import NOW, decide, event, order

pytestmark = pytest.mark.django_db


@pytest.fixture
def store():
    keys.forget_all()
    return StoreFactory()


@pytest.fixture
def client(store):
    return client_of(store, Scope.MANAGE)


def client_of(store, *scopes) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=api_key_create(store=store, name="test", scopes=scopes)[1])
    return client


def test_segments_are_listed_with_sizes_that_tell_of_nobody(store, client, django_assert_max_num_queries):
    default_segments_create(store=store)
    default_segments_create(store=StoreFactory())
    Segment.objects.for_store(store).filter(slug="vip").update(member_count=9)
    Segment.objects.for_store(store).filter(slug="churned").update(member_count=10)
    with django_assert_max_num_queries(3):
        body = client.get("/api/v1/segments/").json()
    sizes = {segment["slug"]: segment["size"] for segment in body["results"]}
    assert len(sizes) == 11
    assert (sizes["vip"], sizes["churned"]) == (None, 10)
    assert body["results"][0]["slug"] == "vip"
    assert client.get("/api/v1/segments/churned/").json()["rules"] == {
        "all": [{"field": "lifecycle", "operator": "eq", "value": "churned"}]
    }


def test_pages_follow_each_other(store, client):
    default_segments_create(store=store)
    first = client.get("/api/v1/segments/", {"limit": 6}).json()
    second = client.get(first["next"]).json()
    slugs = [segment["slug"] for segment in first["results"] + second["results"]]
    assert len(first["results"]) == 6
    assert len(set(slugs)) == 11
    assert second["next"] is None


def test_the_segments_of_a_shopper(store, client):
    default_segments_create(store=store)
    customer = CustomerFactory(store=store, external_id="ann", loyalty_status="gold")
    order(store, customer=customer, days=2)
    visitor = VisitorFactory(store=store, anonymous_id="a-1")
    event(store, visitor=visitor)
    for subject in ("c:ann", "v:a-1"):
        decide(store, subject, 7, days=10)
    segments_recompute(store=store, now=NOW)
    body = client.get("/api/v1/segments/of-shopper/", {"customer_id": "ann"}).json()
    assert body["is_permitted"] is True
    assert [segment["slug"] for segment in body["segments"]] == ["new-visitors", "loyalty-members"]
    body = client.get("/api/v1/segments/of-shopper/", {"anonymous_id": "a-1"}).json()
    assert [segment["slug"] for segment in body["segments"]] == ["new-visitors"]
    decide(store, "c:ann", 3)
    assert client.get("/api/v1/segments/of-shopper/", {"customer_id": "ann"}).json() == {
        "segments": [],
        "is_permitted": False,
    }


@pytest.mark.parametrize(
    "query",
    [{}, {"customer_id": "a", "anonymous_id": "b"}, {"customer_id": "a\0"}, {"customer_id": "x" * 201}],
)
def test_bad_questions_about_a_shopper(client, query):
    response = client.get("/api/v1/segments/of-shopper/", query)
    assert response.status_code == 400
    assert response.json()["code"] == "invalid"


def test_who_is_not_there_is_not_found_and_nor_is_anybody_of_another_store(store, client):
    CustomerFactory(external_id="ann")
    default_segments_create(store=StoreFactory())
    for query in ({"customer_id": "ann"}, {"anonymous_id": "nobody"}):
        assert client.get("/api/v1/segments/of-shopper/", query).status_code == 404
    assert client.get("/api/v1/segments/vip/").json()["code"] == "not_found"


@pytest.mark.parametrize(
    "path", ["/api/v1/segments/", "/api/v1/segments/vip/", "/api/v1/segments/of-shopper/?customer_id=ann"]
)
def test_only_a_managing_key_may_ask(store, path):
    default_segments_create(store=store)
    CustomerFactory(store=store, external_id="ann")
    assert APIClient().get(path).status_code == 401
    for scope in (Scope.WRITE_PUBLIC, Scope.WRITE_SECRET, Scope.RECOMMENDATIONS_READ):
        assert client_of(store, scope).get(path).status_code == 403
