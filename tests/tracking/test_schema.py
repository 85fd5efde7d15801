from __future__ import annotations

import json

import pytest

from tests.tracking.conftest import quarantined, stored
from tracking.api.schema import add_collecting_endpoints


@pytest.fixture
def document(client, db):
    response = client.get("/api/schema/?format=json", headers={"Accept": "application/json"})
    return json.loads(response.content)


def test_the_document_tells_of_every_call(document):
    kinds = {"batch", "track", "page", "identify", "alias", "group", "screen"}
    assert {"/batch/", *(f"/v1/{kind}" for kind in kinds)} <= document["paths"].keys()


def test_every_example_is_taken_as_it_stands(document, sender, store):
    for path, operations in document["paths"].items():
        if path.startswith("/v1/") or path == "/batch/":
            example = operations["post"]["requestBody"]["content"]["application/json"]["example"]
            assert sender.post(path, {"api_key": sender.key, **example}).status_code == 200
    assert not quarantined(store)
    # The batch's event and that of the single track are one and the same.
    assert len(stored(store)) == 7


def test_every_reference_leads_somewhere():
    result = add_collecting_endpoints({})
    text = json.dumps(result)
    for name in result["components"]["schemas"]:
        assert f'"#/components/schemas/{name}"' in text
