"""API keys: made, shown once, scoped, revoked; and who may name a customer."""

from __future__ import annotations

import base64
import json

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import RequestFactory
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from accounts import keys
from accounts.authentication import (
    ApiKeyAuthentication,
    HasScope,
    InvalidKey,
    authenticate_write_key,
    named_customer,
    store_of,
)
from accounts.models import ApiKey, Scope
from accounts.services import (
    api_key_create,
    api_key_revoke,
    sign_user_id,
    signing_secret_renew,
    verify_signature,
)
from tests.factories import CustomerFactory, StoreFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_remembered_keys():
    keys.forget_all()
    yield
    keys.forget_all()


def make(*scopes, store=None, **values) -> tuple[ApiKey, str]:
    return api_key_create(store=store or StoreFactory(), name="test", scopes=scopes, **values)


def test_only_the_hash_of_a_secret_key_is_stored():
    key, secret = make(Scope.WRITE_SECRET)
    assert secret.startswith("sk_")
    row = ApiKey.objects.for_store(key.store).values().get()
    assert secret not in json.dumps(row, default=str)
    assert row["digest"] == keys.digest_of(secret)
    assert (key.prefix, key.is_secret, key.public_value) == (secret[:12], True, "")


def test_a_browsers_key_stays_readable_for_the_tracker():
    store = StoreFactory()
    assert keys.public_write_key(store) is None
    old, _ = make(Scope.WRITE_PUBLIC, store=store)
    key, secret = make(Scope.WRITE_PUBLIC, Scope.RECOMMENDATIONS_READ, store=store)
    make(Scope.WRITE_SECRET, Scope.WRITE_PUBLIC, store=store)
    assert secret.startswith("pk_")
    assert keys.public_write_key(store) == secret
    api_key_revoke(key=key)
    assert keys.public_write_key(store) == old.public_value


def test_a_known_secret_can_be_given():
    _, secret = make(Scope.MANAGE, secret="a-known-secret-for-the-demo")
    assert keys.key_of(secret) is not None


@pytest.mark.parametrize(
    "values", [{"scopes": []}, {"scopes": ["everything"]}, {"scopes": ["manage"], "secret": "short"}]
)
def test_bad_keys_are_refused(values):
    with pytest.raises(ValidationError):
        api_key_create(**{"store": StoreFactory(), "name": "x", **values})
    assert not ApiKey.all_stores.exists()


def test_a_key_is_found_once_in_the_cache_and_not_after_it_is_revoked(
    django_assert_num_queries, django_capture_on_commit_callbacks
):
    key, secret = make(Scope.MANAGE)
    assert keys.key_of(secret) == key
    with django_assert_num_queries(0):
        assert keys.key_of(secret) == key
    with django_capture_on_commit_callbacks(execute=True):
        api_key_revoke(key=key, actor=UserFactory(), reason="lost laptop")
    assert keys.key_of(secret) is None


def test_unknown_keys_are_remembered_but_not_without_bound(django_assert_num_queries, monkeypatch):
    monkeypatch.setattr(keys, "CACHE_ENTRIES", 3)
    assert keys.key_of("sk_unknown") is None
    with django_assert_num_queries(0):
        assert keys.key_of("sk_unknown") is None
        assert keys.key_of("") is None
        assert keys.key_of("x" * 500) is None
    for guess in range(10):
        keys.key_of(f"sk_guess_{guess}")
    assert len(keys._cache) <= 3


def test_use_is_noted_once_in_five_minutes(django_assert_num_queries):
    key, secret = make(Scope.MANAGE)
    keys.key_of(secret)
    key.refresh_from_db()
    assert key.last_used_at is not None
    keys.forget_all()
    with django_assert_num_queries(1):
        keys.key_of(secret)


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ([Scope.WRITE_PUBLIC], {Scope.WRITE_PUBLIC}),
        ([Scope.WRITE_SECRET], {Scope.WRITE_SECRET, Scope.WRITE_PUBLIC}),
        ([Scope.RECOMMENDATIONS_READ], {Scope.RECOMMENDATIONS_READ}),
        ([Scope.MANAGE], {Scope.MANAGE, Scope.RECOMMENDATIONS_READ}),
    ],
)
def test_what_scopes_allow(scopes, allowed):
    key, _ = make(*scopes)
    assert {scope for scope in Scope if key.allows(scope)} == allowed


class View(APIView):
    permission_classes = [HasScope(Scope.MANAGE)]

    def get(self, request):
        return Response({"store": store_of(request).slug})


def ask(**headers):
    return View.as_view()(APIRequestFactory().get("/", headers=headers))


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "header", [("Authorization", "Bearer {}"), ("authorization", "bearer {}"), ("X-Api-Key", "{}")]
)
def test_a_key_in_any_header_opens_its_own_store(header):
    key, secret = make(Scope.MANAGE)
    response = ask(**{header[0]: header[1].format(secret)})
    assert (response.status_code, response.data) == (200, {"store": key.store.slug})


def test_basic_takes_the_key_as_user_name():
    key, secret = make(Scope.MANAGE)
    assert ask(Authorization=basic(f"{secret}:")).data == {"store": key.store.slug}


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "unauthorized"),
        ({"Authorization": "Bearer sk_wrong"}, 401, "invalid_key"),
        ({"Authorization": "Basic ~~~"}, 401, "unauthorized"),
        ({"Authorization": "Digest x"}, 401, "unauthorized"),
        ({"X-Api-Key": "sk_\u00fc"}, 401, "invalid_key"),
    ],
)
def test_no_key_or_a_wrong_one_is_refused_in_one_shape(headers, status, code):
    response = ask(**headers)
    assert response.status_code == status
    assert response.data["code"] == code
    assert set(response.data) == {"code", "message"}
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_a_key_without_the_scope_is_refused():
    _, secret = make(Scope.RECOMMENDATIONS_READ)
    response = ask(**{"X-Api-Key": secret})
    assert response.status_code == 403
    assert "manage" in response.data["message"]


def test_store_of_without_a_key_is_refused():
    request = APIView().initialize_request(APIRequestFactory().get("/"))
    request.authenticators = [ApiKeyAuthentication()]
    with pytest.raises(AuthenticationFailed):
        store_of(request)


def post(**headers):
    return RequestFactory().post("/v1/batch", headers=headers)


def test_a_write_key_comes_in_header_body_or_query():
    key, secret = make(Scope.WRITE_PUBLIC)
    assert authenticate_write_key(post(Authorization=basic(f"{secret}:"))) == key
    assert authenticate_write_key(post(), {"writeKey": secret}) == key
    assert authenticate_write_key(RequestFactory().post(f"/v1/batch?writeKey={secret}")) == key


@pytest.mark.parametrize(
    ("scope", "headers", "body", "status"),
    [
        (Scope.WRITE_PUBLIC, {}, {}, 401),
        (Scope.WRITE_PUBLIC, {}, {"writeKey": 7}, 401),
        (Scope.WRITE_PUBLIC, {}, {"writeKey": "pk_wrong"}, 401),
        (Scope.RECOMMENDATIONS_READ, {}, None, 403),
        (Scope.WRITE_PUBLIC, {"Origin": "https://elsewhere.example"}, None, 403),
    ],
)
def test_write_keys_that_do_not_open(scope, headers, body, status):
    _, secret = make(scope, allowed_origins=["https://shop.example/"])
    with pytest.raises(InvalidKey) as caught:
        authenticate_write_key(post(**headers), {"writeKey": secret} if body is None else body)
    assert caught.value.status == status


def test_a_key_bound_to_an_origin_works_there_and_from_servers():
    _, secret = make(Scope.WRITE_PUBLIC, allowed_origins=["https://shop.example"])
    assert authenticate_write_key(post(Origin="https://shop.example"), {"writeKey": secret})
    assert authenticate_write_key(post(), {"writeKey": secret})


def test_a_public_key_names_a_customer_only_with_the_shops_signature(django_assert_num_queries):
    """Reading somebody else's profile: the attacker has the page's key, a victim's id, and a signature of their own id."""
    store = StoreFactory()
    victim, attacker = (
        CustomerFactory(store=store, external_id="ann"),
        CustomerFactory(store=store, external_id="eve"),
    )
    key, _ = make(Scope.WRITE_PUBLIC, Scope.RECOMMENDATIONS_READ, store=store)
    own_signature = sign_user_id(store, "eve")
    assert named_customer(key, "eve", own_signature) == attacker
    other_shops = sign_user_id(StoreFactory(), "ann")
    for forged in (None, "", own_signature, other_shops, "0" * 64, 12345, ["ann"]):
        with django_assert_num_queries(0), pytest.raises(PermissionDenied):
            named_customer(key, "ann", forged)
    assert named_customer(key, "ann", sign_user_id(store, "ann")) == victim


def test_a_secret_key_names_customers_of_its_own_store_only():
    customer = CustomerFactory(external_id="ann")
    own, _ = make(Scope.WRITE_SECRET, Scope.RECOMMENDATIONS_READ, store=customer.store)
    other, _ = make(Scope.MANAGE)
    assert named_customer(own, "ann") == customer
    assert named_customer(other, "ann") is None


def test_the_signature_is_plain_hmac_as_any_shop_can_make_it():
    """The expected value is what `printf ann | openssl dgst -sha256 -hmac secret` prints."""
    store = StoreFactory(signing_secret="secret")
    expected = "aad4e6199b77de3305e568999486a8be43b4cbc7d6299ff32eacded10d1a126b"
    assert sign_user_id(store, "ann") == expected
    assert verify_signature(store, "ann", expected.upper())
    assert not verify_signature(store, "ben", expected)


def test_a_renewed_secret_makes_old_signatures_worthless():
    store = StoreFactory()
    signature = sign_user_id(store, "ann")
    signing_secret_renew(store=store)
    assert not verify_signature(store, "ann", signature)


def test_the_command_prints_the_secret_once(capsys):
    store = StoreFactory(slug="shop")
    call_command("create_api_key", "shop", "Server", "--scope=write:secret", "--scope=manage", "--json")
    told = json.loads(capsys.readouterr().out)
    assert keys.key_of(told["secret"]).pk == told["id"]
    assert told["scopes"] == ["manage", "write:secret"]
    call_command("create_api_key", "shop", "Page", "--scope=write:public")
    assert capsys.readouterr().out.strip() == keys.public_write_key(store)
    with pytest.raises(CommandError, match="shop"):
        call_command("create_api_key", "nowhere", "x", "--scope=manage")
    assert ApiKey.objects.for_store(store).count() == 2
