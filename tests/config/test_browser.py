"""The `page` fixture sees what a person would only see in the console."""

import pytest
from django.http import HttpRequest, HttpResponse
from django.urls import path
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer

from config import urls as project
from tests.waiting import until


def _page_with(body: str) -> HttpResponse:
    return HttpResponse(
        f"<!doctype html><html lang='en'><head><title>t</title></head><body>{body}</body></html>"
    )


def inline(request: HttpRequest) -> HttpResponse:
    return _page_with(
        "<p id=text>before</p><script>document.getElementById('text').textContent = 'after'</script>"
    )


def missing(request: HttpRequest) -> HttpResponse:
    return _page_with("<script src='/static/no/such/file.js'></script>")


def foreign(request: HttpRequest) -> HttpResponse:
    return _page_with("<img alt='' src='https://pictures.example/a.png'>")


urlpatterns = [
    path("inline/", inline),
    path("missing/", missing),
    path("foreign/", foreign),
    *project.urlpatterns,
]


@pytest.mark.page_errors_expected
@pytest.mark.parametrize(
    "address, fault",
    [
        ("inline/", "Content Security Policy"),
        ("missing/", "no/such/file.js"),
        ("foreign/", "Content Security Policy"),
    ],
)
def test_faults_are_seen(
    page: Page, live_server: LiveServer, settings: object, address: str, fault: str
) -> None:
    settings.ROOT_URLCONF = __name__  # type: ignore[attr-defined]
    page.goto(f"{live_server.url}/{address}")
    faults: list[str] = page.faults  # type: ignore[attr-defined]
    until(page, lambda: any(fault in seen for seen in faults), lambda: faults)


@pytest.mark.page_errors_expected
def test_inline_scripts_do_not_run(page: Page, live_server: LiveServer, settings: object) -> None:
    settings.ROOT_URLCONF = __name__  # type: ignore[attr-defined]
    page.goto(f"{live_server.url}/inline/")
    assert page.locator("#text").inner_text() == "before"


def test_api_documentation_works_under_the_policy(page: Page, live_server: LiveServer) -> None:
    page.goto(f"{live_server.url}/api/docs/")
    page.wait_for_selector(".swagger-ui .info .title")
    assert "Etalage" in page.locator(".swagger-ui .info .title").inner_text()
