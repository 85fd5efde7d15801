from __future__ import annotations

import json
import stat
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.keys import key_of
from accounts.models import ApiKey, Store, StoreMembership, User
from accounts.personal_data import unclassified_models
from catalog.models import Product
from consent.models import Notice
from recommendations.models import Placement
from recommendations.serving.browser import forget_store
from segments.models import Segment
from storefront.models import ShopAccount


@pytest.fixture
def seeded(db: None, settings: Any, tmp_path: Path) -> Path:
    """A seeded demo; gives its data folder."""
    settings.DATA_DIR = tmp_path
    settings.ETALAGE_MEDIA_DIR = tmp_path / "media"
    settings.ETALAGE_STOREFRONT_STORE = "demo"
    forget_store()
    call_command("seed_demo", stdout=StringIO())
    return tmp_path


def known(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "demo.json").read_text())


def test_the_shop_is_furnished(seeded: Path) -> None:
    store = Store.objects.get(slug="demo")
    assert store.is_simulated
    products = Product.objects.for_store(store)
    assert products.count() == 400
    for product in products:
        assert (seeded / product.image_url.removeprefix("/")).is_file()
    assert len({product.image_url for product in products}) == 400
    slugs = set(Placement.objects.for_store(store).values_list("slug", flat=True))
    assert {
        "home",
        "similar",
        "bought-together",
        "viewed-next",
        "cart",
        "category",
        "trending",
        "new",
    } <= slugs
    assert Segment.objects.for_store(store).exists()
    assert Notice.objects.for_store(store).exclude(published_at=None).exists()
    assert unclassified_models() == []


def test_every_login_works_and_each_role_is_there(seeded: Path) -> None:
    logins = known(seeded)["logins"]
    assert {login["role"] for login in logins} >= {
        "Administrator",
        "Merchandiser",
        "Privacy officer",
        "Superuser",
    }
    for login in logins:
        user = User.objects.get(email=login["email"])
        assert user.check_password(login["password"]), login["email"]
    assert User.objects.get(email="root@demo.example").is_superuser
    assert StoreMembership.objects.filter(user__email="privacy@demo.example", role="privacy_officer").exists()
    assert ShopAccount.all_stores.filter(user__is_simulated=True).count() == 4


def test_keys_are_what_they_say(seeded: Path) -> None:
    keys = known(seeded)
    assert key_of(keys["write_key"]).scopes == ["write:public"]
    assert key_of(keys["secret_key"]).scopes == ["write:secret"]
    assert key_of(keys["recommendations_key"]).scopes == ["recommendations:read"]
    assert {key.consent_source for key in ApiKey.all_stores.all()} == {"ledger"}


def test_the_file_is_for_its_owner_only(seeded: Path) -> None:
    assert stat.S_IMODE((seeded / "demo.json").stat().st_mode) == 0o600


def test_a_second_time_changes_nothing(seeded: Path) -> None:
    store = Store.objects.get(slug="demo")
    Product.objects.for_store(store).filter(external_id="WF-1295").update(stock=1)
    before = known(seeded)
    hashes = dict(User.objects.values_list("email", "password"))
    out = StringIO()
    call_command("seed_demo", "--json", stdout=out)
    report = json.loads(out.getvalue())
    assert report["products"] == {"created": 0, "updated": 0, "unchanged": 400}
    assert known(seeded) == before
    assert dict(User.objects.values_list("email", "password")) == hashes
    assert ApiKey.all_stores.count() == 3
    assert Product.objects.for_store(store).get(external_id="WF-1295").stock == 1, "what was sold stays sold"


def test_a_lost_file_gets_new_passwords_and_keys(seeded: Path) -> None:
    before = known(seeded)
    (seeded / "demo.json").unlink()
    call_command("seed_demo", stdout=StringIO())
    after = known(seeded)
    for old, new in zip(before["logins"], after["logins"], strict=True):
        assert old["password"] != new["password"]
        assert User.objects.get(email=new["email"]).check_password(new["password"])
    assert key_of(after["secret_key"]) is not None
    assert after["secret_key"] != before["secret_key"]


def test_the_home_page_is_open(seeded: Path, client: Client) -> None:
    page = client.get("/").content.decode()
    assert "Around the shop" in page
    assert page.count("/media/products/") >= 8
