from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from django.test import RequestFactory

from accounts.models import Scope
from tests.factories import StoreFactory
from tests.tracking.conftest import make_key
from tracking import snippet
from tracking.snippet import render_tracker
from tracking.vocabulary import KNOWN_EVENTS

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


def test_the_types_are_those_of_the_tracker():
    source, types = (STATIC / "tracker.js").read_text(), (STATIC / "tracker.d.ts").read_text()
    exported = set(re.findall(r"^export (?:async )?(?:function|const) (\w+)", source, re.M))
    assert exported == {"track", "page", "identify", "isPermitted"}
    assert exported == set(re.findall(r"^export function (\w+)", types, re.M))
    for name, parameters in re.findall(r"^export function (\w+)\(([^)]*)\)", source, re.M):
        names = [parameter.split("=")[0].strip() for parameter in parameters.split(",")]
        declared = re.findall(rf"^export function {name}(?:<[^>]*>)?\(([^)]*)\)", types, re.M)
        assert declared
        for signature in declared:
            assert re.findall(r"(\w+)\??:", re.sub(r"Record<[^>]*>", "", signature)) == names


def test_the_types_know_each_part_of_a_page_and_only_events_of_the_vocabulary():
    source, types = (STATIC / "tracker.js").read_text(), (STATIC / "tracker.d.ts").read_text()
    table = re.search(r"const PAGE_EVENTS = \{(.*?)\}", source, re.S)[1]
    told = dict(re.findall(r'(\w+): "([^"]+)"', table))
    shown = re.search(r"export interface Page \{(.*?)\n\}", types, re.S)[1]
    assert set(re.findall(r"^  (\w+)\?:", shown, re.M)) == {*told, "name", "user"}
    events = re.search(r"export interface Events \{(.*?)\n\}", types, re.S)[1]
    assert {*told.values(), *re.findall(r'^  "([^"]+)":', events, re.M)} <= KNOWN_EVENTS
