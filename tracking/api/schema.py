"""The collecting endpoints in the OpenAPI document. They are plain views, for speed, so the document is told by hand."""

from __future__ import annotations

from typing import Any, Final

_SUCCESS: Final = {
    "type": "object",
    "required": ["success"],
    "properties": {"success": {"type": "boolean", "enum": [True]}},
}
_ERROR: Final = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
}
_MOMENT: Final = {"type": "string", "format": "date-time"}
_MESSAGE: Final = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "enum": ["track", "page", "identify", "alias", "group", "screen"]},
        "event": {
            "type": "string",
            "maxLength": 100,
            "description": "Name of a `track`, such as Product Viewed.",
        },
        "name": {"type": "string", "description": "Name of a `page` or `screen`."},
        "messageId": {"type": "string", "maxLength": 100, "description": "Makes a second sending harmless."},
        "anonymousId": {
            "type": "string",
            "nullable": True,
            "description": "The visitor: a browser or an app.",
        },
        "userId": {
            "type": "string",
            "nullable": True,
            "description": "The shop's customer id; with a public key only with `context.signature`.",
        },
        "previousId": {
            "type": "string",
            "nullable": True,
            "description": "Of an `alias`: the visitor's anonymousId.",
        },
        "groupId": {"type": "string", "nullable": True},
        "properties": {"type": "object", "additionalProperties": True},
        "traits": {"type": "object", "additionalProperties": True},
        "context": {"type": "object", "additionalProperties": True},
        "timestamp": {**_MOMENT, "description": "When it happened, by the client's clock."},
        "originalTimestamp": _MOMENT,
        "sentAt": {**_MOMENT, "description": "When it was sent, by the same clock."},
        "writeKey": {"type": "string", "description": "Where it is not in the Authorization header."},
    },
}
_BATCH: Final = {
    "type": "object",
    "required": ["batch"],
    "properties": {
        "batch": {
            "type": "array",
            "maxItems": 2500,
            "items": {"$ref": "#/components/schemas/TrackingMessage"},
        },
        "sentAt": _MOMENT,
        "writeKey": {"type": "string"},
    },
}
_POSTHOG_BATCH: Final = {
    "type": "object",
    "required": ["batch"],
    "properties": {
        "api_key": {"type": "string", "description": "The write key."},
        "sent_at": _MOMENT,
        "batch": {
            "type": "array",
            "maxItems": 2500,
            "items": {
                "type": "object",
                "required": ["event", "distinct_id"],
                "properties": {
                    "event": {"type": "string"},
                    "distinct_id": {"type": "string"},
                    "uuid": {"type": "string", "description": "Makes a second sending harmless."},
                    "timestamp": _MOMENT,
                    "properties": {"type": "object", "additionalProperties": True},
                },
            },
        },
    },
}
_VIEWED: Final = {
    "type": "track",
    "event": "Product Viewed",
    "messageId": "0b9e7a52-6c5e-4b0e-9d39-2f1f1c2f7a10",
    "anonymousId": "b7c1d7f0-3d5f-4a43-8a3c-0f7a5a3a6c11",
    "timestamp": "2026-05-04T10:00:00Z",
    "properties": {"product_id": "tent-1", "price": 199.99, "currency": "EUR"},
}
_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "track": _VIEWED,
    "page": {"type": "page", "name": "Home", "anonymousId": "b7c1d7f0"},
    "identify": {
        "type": "identify",
        "userId": "customer-1",
        "anonymousId": "b7c1d7f0",
        "traits": {"loyaltyStatus": "gold"},
    },
    "alias": {"type": "alias", "previousId": "b7c1d7f0", "userId": "customer-1"},
    "group": {"type": "group", "groupId": "climbing-club", "userId": "customer-1"},
    "screen": {"type": "screen", "name": "Cart", "anonymousId": "b7c1d7f0"},
}
_POSTHOG_EXAMPLE: Final = {
    "sent_at": "2026-05-04T10:00:01Z",
    "batch": [
        {
            "event": "Product Viewed",
            "distinct_id": "customer-1",
            "uuid": "8971ac3c-b351-43a6-8107-014fb8fb3bc3",
            "timestamp": "2026-05-04T10:00:00Z",
            "properties": {"product_id": "tent-1", "price": 199.99, "currency": "EUR"},
        }
    ],
}
_REFUSALS: Final = {
    "400": "No readable JSON, or no batch.",
    "401": "The write key is missing, unknown or revoked.",
    "403": "The key may not send events, or not from this origin.",
    "408": "The body ended before its announced length. Send it again.",
    "411": "A body in chunks, behind a server that does not see its end. Send a Content-Length.",
    "413": "More than 4 MiB, also unpacked, or more than 2,500 events.",
    "429": "Too many requests from this address. Send it again after Retry-After.",
    "503": "The database does not keep up. Send it again after Retry-After.",
}


def add_collecting_endpoints(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A postprocessing hook of drf-spectacular."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {}).update(
        TrackingMessage=_MESSAGE,
        TrackingBatch=_BATCH,
        PostHogBatch=_POSTHOG_BATCH,
        TrackingSuccess=_SUCCESS,
        TrackingError=_ERROR,
    )
    components.setdefault("securitySchemes", {})["writeKey"] = {
        "type": "http",
        "scheme": "basic",
        "description": "The write key as user name, the password empty.",
    }
    paths = result.setdefault("paths", {})
    paths["/v1/batch"] = {
        "post": _operation("batch", "Several messages", "TrackingBatch", {"batch": [_VIEWED]})
    }
    for kind, example in _EXAMPLES.items():
        paths[f"/v1/{kind}"] = {"post": _operation(kind, f"One {kind} message", "TrackingMessage", example)}
    paths["/batch/"] = {
        "post": _operation("posthog_batch", "Several events of PostHog's", "PostHogBatch", _POSTHOG_EXAMPLE)
    }
    result["paths"] = dict(sorted(paths.items()))
    return result


def _operation(kind: str, summary: str, schema: str, example: dict[str, Any]) -> dict[str, Any]:
    content = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example}
    answers = {code: _answer(meaning, "TrackingError") for code, meaning in _REFUSALS.items()}
    return {
        "operationId": f"collect_{kind}",
        "tags": ["events"],
        "summary": summary,
        "description": (
            "200 says that every event of the request is committed: stored, quarantined with its reason, or discarded and counted "
            "where permission is missing. Any content type, plain or gzip; with or without a slash at the end."
        ),
        "security": [{"writeKey": []}, {}],
        "parameters": [
            {
                "name": "writeKey",
                "in": "query",
                "schema": {"type": "string"},
                "description": "The write key of beacons, which can set no header.",
            }
        ],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {"200": _answer("Every event is committed.", "TrackingSuccess"), **answers},
    }


def _answer(description: str, schema: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }
