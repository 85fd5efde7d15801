"""What a failed request is answered with."""

import json
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from config import urls as project

pytestmark = pytest.mark.django_db


def _fails(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("the secret is 42")


urlpatterns = [path("api/v1/fails/", _fails), path("fails/", _fails), *project.urlpatterns]
handler400, handler403 = project.handler400, project.handler403
handler404, handler500 = project.handler404, project.handler500


@pytest.fixture
def failing(settings: Any) -> Client:
    settings.ROOT_URLCONF = __name__
    return Client(raise_request_exception=False)


@pytest.mark.parametrize("address", ["/api/v1/nowhere/", "/v1/nowhere", "/api/nowhere"])
def test_programmes_get_the_one_error_shape(client: Client, address: str) -> None:
    response = client.get(address)
    assert response.status_code == 404
    assert response["Content-Type"] == "application/json"
    assert json.loads(response.content) == {"code": "not_found", "message": "Nothing stands at this address."}


def test_people_get_a_page_of_the_shop(client: Client) -> None:
    response = client.get("/no/such/page/")
    assert response.status_code == 404
    assert "404.html" in [template.name for template in response.templates]


@pytest.mark.parametrize("address", ["/fails/", "/api/v1/fails/"])
def test_a_server_error_says_nothing_of_its_cause(failing: Client, address: str) -> None:
    response = failing.get(address)
    assert response.status_code == 500
    assert b"42" not in response.content
    assert b"RuntimeError" not in response.content


def test_the_server_error_page_needs_no_query(failing: Client, django_assert_num_queries: Any) -> None:
    """What failed may be the database."""
    with django_assert_num_queries(0):
        response = failing.get("/fails/", headers={"Accept-Language": "en"})
    assert b"<html" in response.content


def test_every_answer_carries_a_request_id(client: Client) -> None:
    assert (
        client.get("/healthz", headers={"X-Request-ID": "from-the-proxy-1"})["X-Request-ID"]
        == "from-the-proxy-1"
    )
    made = client.get("/healthz", headers={"X-Request-ID": "bad id\n{}"})["X-Request-ID"]
    assert len(made) == 32
    assert client.get("/healthz")["X-Request-ID"] != made


def test_pages_run_no_foreign_and_no_inline_script(client: Client) -> None:
    policy = client.get("/healthz")["Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["script-src"] == directives["style-src"] == directives["default-src"] == "'self'"
    assert directives["frame-ancestors"] == directives["object-src"] == "'none'"


def test_shops_pages_may_call_the_interfaces_and_nothing_else(client: Client) -> None:
    origin = {"Origin": "https://shop.example"}
    preflight = {
        **origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key",
    }
    allowed = client.options("/v1/batch", headers=preflight)
    assert allowed["Access-Control-Allow-Origin"] == "*"
    assert "x-api-key" in allowed["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in allowed
    assert "Access-Control-Allow-Origin" not in client.get("/healthz", headers=origin)
