"""The template for Google Tag Manager: its format, its permissions, and what it does, run as the sandbox would."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.servers import ROOT
from tracking.services.tag_templates import gtm_template

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TEMPLATE = (ROOT / "docs" / "gtm" / "etalage.tpl").read_text()
# Sandboxed API → the permission that it wants (Google's "Custom template permissions"); None: none.
WANTED = {
    "addConsentListener": "access_consent",
    "createQueue": "access_globals",
    "encodeUriComponent": None,
    "injectScript": "inject_script",
    "isConsentGranted": "access_consent",
    "queryPermission": None,
}
PARAMETER_KEYS = {
    "type",
    "name",
    "displayName",
    "simpleValueType",
    "valueValidators",
    "defaultValue",
    "help",
    "groupStyle",
    "subParams",
    "checkboxText",
}
DATA = {
    "writeKey": "pk_1",
    "host": "https://etalage.example",
    "dataLayerName": "dataLayer",
    "adobeDataLayerName": "",
}


def sections(text: str = TEMPLATE) -> dict[str, str]:
    parts = re.split(r"(?m)^___([A-Z_]+)___$", text)
    assert parts[0] == ""
    return {name: content.strip() for name, content in zip(parts[1::2], parts[2::2], strict=True)}


def permissions(text: str = TEMPLATE) -> dict[str, Any]:
    """Permission → the value of its only parameter, as plain lists."""
    found = {}
    for permission in json.loads(sections(text)["WEB_PERMISSIONS"]):
        assert permission["isRequired"] is True
        (parameter,) = permission["instance"]["param"]
        found[permission["instance"]["key"]["publicId"]] = plain(parameter["value"])
    return found


def plain(value: dict[str, Any]) -> Any:
    """Tag Manager's typed values: 1 text, 2 list, 3 map, 8 boolean."""
    match value["type"]:
        case 1:
            return value["string"]
        case 2:
            return [plain(item) for item in value["listItem"]]
        case 3:
            return dict(zip(map(plain, value["mapKey"]), map(plain, value["mapValue"]), strict=True))
        case 8:
            return value["boolean"]
    raise AssertionError(value)


def test_the_sections_are_those_of_a_web_template_in_order() -> None:
    assert list(sections()) == [
        "TERMS_OF_SERVICE", "INFO", "TEMPLATE_PARAMETERS", "SANDBOXED_JS_FOR_WEB_TEMPLATE", "WEB_PERMISSIONS", "TESTS", "NOTES",
    ]  # fmt: skip
    info = json.loads(sections()["INFO"])
    assert (info["type"], info["id"], info["version"], info["containerContexts"]) == (
        "TAG",
        "cvt_temp_public_id",
        1,
        ["WEB"],
    )


def test_every_field_that_the_code_reads_is_a_parameter() -> None:
    parameters = json.loads(sections()["TEMPLATE_PARAMETERS"])
    flat = [each for parameter in parameters for each in [parameter, *parameter.get("subParams", [])]]
    assert all(each.keys() <= PARAMETER_KEYS for each in flat)
    names = {each["name"] for each in flat if each["type"] != "GROUP"}
    read = set(re.findall(r"\bdata\.(\w+)", sections()["SANDBOXED_JS_FOR_WEB_TEMPLATE"]))
    assert read - {"gtmOnSuccess", "gtmOnFailure"} == names


def test_permissions_are_what_the_code_uses_and_no_more() -> None:
    code = sections()["SANDBOXED_JS_FOR_WEB_TEMPLATE"]
    required = re.findall(r"require\('(\w+)'\)", code)
    assert set(required) == set(WANTED)
    assert all(len(re.findall(rf"\b{name}\b", code)) > 2 for name in required), "required, and not used"
    given = permissions()
    assert set(given) == {permission for permission in WANTED.values() if permission}
    assert given["inject_script"] == ["https://etalage.example/etalage/datalayer.js*"]
    assert given["access_globals"] == [
        {"key": "etalageConsentSignals", "read": True, "write": True, "execute": False}
    ]
    signals = re.findall(r"'(\w+)'", re.search(r"SIGNALS = \[(.*?)\]", code, re.DOTALL)[1])  # type: ignore[index]
    assert given["access_consent"] == [
        {"consentType": name, "read": True, "write": False} for name in signals
    ]


def test_the_code_stays_within_the_sandbox() -> None:
    """No globals of the browser, no constructors, nothing newer than ES6 (Google's "Sandboxed JavaScript")."""
    code = re.sub(r"//.*|'[^']*'", "", sections()["SANDBOXED_JS_FOR_WEB_TEMPLATE"])
    forbidden = (
        r"\b(window|document|location|new|this|class|async|await|setTimeout|Object|Array|String|JSON|RegExp|function\*)\b"
        r"|\?\.|\?\?|`|\.\.\."
    )
    assert re.findall(forbidden, code) == []


# The sandbox, as far as the template uses it: `require`, `data`, and the test API of the template editor.
SANDBOX = """
([code, scenario, given]) => {
    const calls = {}, mocks = {}, log = [];
    const api = (name, otherwise) => (...values) => {
        (calls[name] ??= []).push(values);
        const mocked = mocks[name];
        return typeof mocked === "function" ? mocked(...values) : mocked ?? otherwise?.(...values);
    };
    const apis = {
        encodeUriComponent: encodeURIComponent,
        queryPermission: api("queryPermission", (permission, url) => url.startsWith("https://etalage.example/etalage/datalayer.js")),
        injectScript: api("injectScript", (url, onSuccess) => onSuccess()),
        isConsentGranted: api("isConsentGranted", () => true),
        addConsentListener: api("addConsentListener"),
        createQueue: api("createQueue", (name) => (item) => (window[name] ??= []).push(item)),
    };
    const runCode = (fields) => {
        const data = {...fields, gtmOnSuccess: api("gtmOnSuccess"), gtmOnFailure: api("gtmOnFailure")};
        new Function("require", "data", code)((name) => apis[name], data);
    };
    const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
    const check = (isTrue, what) => log.push([Boolean(isTrue), what]);
    const assertThat = (actual) => ({
        isEqualTo: (expected) => check(same(actual, expected), `${JSON.stringify(actual)} is ${JSON.stringify(expected)}`),
        contains: (part) => check(actual.includes(part), `${actual} contains ${part}`),
    });
    const assertApi = (name) => ({
        wasCalled: () => check(calls[name]?.length, `${name} was called`),
        wasNotCalled: () => check(!calls[name], `${name} was not called`),
    });
    const mock = (name, value) => (mocks[name] = value);
    if (scenario) new Function("mock", "runCode", "assertThat", "assertApi", scenario)(mock, runCode, assertThat, assertApi);
    else runCode(given);
    const plain = (all) => all.map((values) => values.filter((value) => typeof value !== "function"));
    const made = Object.fromEntries(Object.entries(calls).map(([name, all]) => [name, plain(all)]));
    return {log, calls: made, queue: window.etalageConsentSignals};
}
"""


@pytest.fixture
def sandbox(browser: Browser) -> Any:
    page = browser.new_page()
    yield page
    page.close()


def run(page: Page, scenario: str | None, data: dict[str, Any] | None = None) -> dict[str, Any]:
    code = sections()["SANDBOXED_JS_FOR_WEB_TEMPLATE"]
    found: dict[str, Any] = page.evaluate(SANDBOX, [code, scenario, data])
    return found


def test_its_own_tests_pass(sandbox: Page) -> None:
    scenarios = yaml.safe_load(sections()["TESTS"])["scenarios"]
    assert len(scenarios) == 3
    for scenario in scenarios:
        log = run(sandbox, scenario["code"])["log"]
        assert log
        assert [what for is_true, what in log if not is_true] == [], scenario["name"]


def test_it_loads_the_script_once_and_asks_no_consent_unless_told(sandbox: Page) -> None:
    done = run(sandbox, None, DATA)
    url = "https://etalage.example/etalage/datalayer.js?write-key=pk_1&google=dataLayer&adobe=adobeDataLayer"
    # The cache token makes Tag Manager load it once a page.
    assert done["calls"]["injectScript"] == [[url, "etalage"]]
    assert "gtmOnSuccess" in done["calls"]
    assert "isConsentGranted" not in done["calls"]
    assert done.get("queue") is None


def test_it_hands_on_what_the_listener_reads(sandbox: Page) -> None:
    done = run(sandbox, None, {**DATA, "usesConsentMode": True})
    assert done["queue"] == [
        dict.fromkeys(
            (
                "analytics_storage",
                "personalization_storage",
                "ad_storage",
                "ad_personalization",
                "ad_user_data",
            ),
            "granted",
        )
    ]


def test_a_host_that_is_not_permitted_fails(sandbox: Page) -> None:
    done = run(sandbox, None, {**DATA, "host": "https://elsewhere.example"})
    assert "injectScript" not in done["calls"]
    assert "gtmOnFailure" in done["calls"]


def test_the_admins_copy_has_the_host_and_the_key() -> None:
    text = gtm_template(origin="http://shop.example:8443/admin/", write_key="pk_42")
    assert permissions(text)["inject_script"] == ["https://shop.example:8443/etalage/datalayer.js*"]
    parameters = {each["name"]: each for each in json.loads(sections(text)["TEMPLATE_PARAMETERS"])}
    assert parameters["writeKey"]["defaultValue"] == "pk_42"
    assert parameters["host"]["defaultValue"] == "https://shop.example:8443"
    assert sections(text)["SANDBOXED_JS_FOR_WEB_TEMPLATE"] == sections()["SANDBOXED_JS_FOR_WEB_TEMPLATE"]
    with pytest.raises(ValueError, match="is no address"):
        gtm_template(origin="shop.example", write_key="pk_42")
