from __future__ import annotations

import json

import pytest
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404
from rest_framework import exceptions, serializers

from accounts.api_errors import error_response, exception_handler


def handle(error: Exception) -> tuple[int, dict]:
    response = exception_handler(error, {})
    return response.status_code, response.data


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Http404(), 404, "not_found"),
        (DjangoPermissionDenied("No."), 403, "forbidden"),
        (RequestDataTooBig(), 413, "too_large"),
        (exceptions.ParseError(), 400, "bad_request"),
        (exceptions.NotAuthenticated(), 401, "unauthorized"),
        (exceptions.MethodNotAllowed("PUT"), 405, "method_not_allowed"),
        (exceptions.UnsupportedMediaType("text/html"), 415, "unsupported_media_type"),
        (exceptions.Throttled(wait=3.2), 429, "too_many_requests"),
        (exceptions.PermissionDenied("No.", code="signature_required"), 403, "signature_required"),
    ],
)
def test_every_error_has_the_one_shape(error, status, code):
    got, body = handle(error)
    assert (got, body["code"]) == (status, code)
    assert set(body) == {"code", "message"}
    assert body["message"]


def test_a_wait_is_whole_seconds():
    assert exception_handler(exceptions.Throttled(wait=3.2), {})["Retry-After"] == "4"


class Line(serializers.Serializer):
    price = serializers.IntegerField(min_value=1)


class Basket(serializers.Serializer):
    name = serializers.CharField()
    lines = Line(many=True)


def test_details_say_where_in_nested_input():
    basket = Basket(data={"lines": [{"price": 1}, {"price": 0}, {}]})
    with pytest.raises(exceptions.ValidationError) as caught:
        basket.is_valid(raise_exception=True)
    status, body = handle(caught.value)
    assert (status, body["code"]) == (400, "invalid")
    assert set(body["details"]) == {"name", "lines.1.price", "lines.2.price"}
    assert body["message"].startswith("name: ")


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ValidationError("Give one of the two."),
        exceptions.ValidationError({"non_field_errors": ["Give one of the two."]}),
        DjangoValidationError("Give one of the two."),
    ],
)
def test_general_problems_are_the_message(error):
    assert handle(error) == (400, {"code": "invalid", "message": "Give one of the two."})


def test_a_models_validation_error_keeps_its_fields():
    status, body = handle(DjangoValidationError({"slug": ["Taken."]}))
    assert (status, body["details"]) == (400, {"slug": ["Taken."]})


def test_what_is_not_known_is_left_to_the_error_page():
    assert exception_handler(RuntimeError("a fault of ours"), {}) is None


def test_plain_views_give_the_same():
    response = error_response(429, "Slow down.", retry_after_seconds=0.3, details={"a": ["b"]})
    assert json.loads(response.content) == {
        "code": "too_many_requests",
        "message": "Slow down.",
        "details": {"a": ["b"]},
    }
    assert (response.status_code, response["Retry-After"]) == (429, "1")
