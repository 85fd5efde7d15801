from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from django.test import RequestFactory

from accounts.models import Scope
from tests.factories import StoreFactory
from tests.tracking.conftest import make_key
from tracking import snippet
from tracking.snippet import render_tracker

STATIC = Path(snippet.__file__).parent / "static" / "etalage"


@pytest.fixture(autouse=True)
def _no_remembered_keys():
    snippet._known_keys.clear()
    yield
    snippet._known_keys.clear()


def test_the_tag_is_the_same_for_everybody_and_holds_no_script(store, settings):
    settings.ETALAGE_STOREFRONT_STORE = store.slug
    settings.ETALAGE_STOREFRONT_WRITE_KEY = ""
    _, secret = make_key(store, Scope.WRITE_PUBLIC)
    make_key(store, Scope.WRITE_SECRET)
    request = RequestFactory().get("/")
    request.COOKIES["etalage_anonymous_id"] = "anon-1"
    tag = render_tracker(request)
    assert f'data-write-key="{secret}"' in tag
    assert tag.endswith("></script>")
    assert "anon-1" not in tag


def test_the_shops_own_setting_goes_first(store, settings):
    settings.ETALAGE_STOREFRONT_STORE = store.slug
    settings.ETALAGE_STOREFRONT_WRITE_KEY = "pk_from_the_settings"
    assert 'data-write-key="pk_from_the_settings"' in render_tracker(RequestFactory().get("/"))


def test_no_key_or_no_store_is_no_tag(db, settings):
    settings.ETALAGE_STOREFRONT_STORE = "nowhere"
    settings.ETALAGE_STOREFRONT_WRITE_KEY = ""
    assert render_tracker(RequestFactory().get("/")) == ""
    assert render_tracker(RequestFactory().get("/"), StoreFactory()) == ""


def test_the_tracker_is_small_and_stands_alone():
    source = (STATIC / "tracker.js").read_bytes()
    assert len(gzip.compress(source, 9)) < 4096
    assert b"import " not in source
    assert b"eval" not in source


def test_the_types_name_what_the_tracker_exports():
    source, types = (STATIC / "tracker.js").read_text(), (STATIC / "tracker.d.ts").read_text()
    for name in ("track", "page", "identify"):
        assert f"export function {name}(" in source
        assert f"export function {name}(" in types
