from __future__ import annotations

from typing import Any, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.identifiers import MAX_ID_LENGTH, is_forbidden_id
from consent.links import request_url
from consent.models import ConsentChoice, ConsentMechanism, DataSubjectRequest
from consent.purposes import ALL, OPTIONAL
from consent.services.browser_choice import PLATFORMS
from consent.services.profile_requests import CORRECTABLE_IDENTIFIERS, CORRECTABLE_PROFILE

PURPOSES: Final = [purpose.slug for purpose in ALL]
API_CHOICES: Final = [
    ConsentChoice.ACCEPT,
    ConsentChoice.REJECT,
    ConsentChoice.SAVE,
    ConsentChoice.WITHDRAW,
    ConsentChoice.DISMISS,
    ConsentChoice.API,
]


def _id_field(help_text: str) -> serializers.CharField:
    return serializers.CharField(
        required=False, max_length=MAX_ID_LENGTH, help_text=help_text, validators=[_not_forbidden]
    )


def _not_forbidden(value: str) -> None:
    if is_forbidden_id(value):
        raise serializers.ValidationError(f"{value[:40]!r} names nobody in particular.")


class ConsentQuery(serializers.Serializer[Any]):
    """Whose consent is asked about: a browser, a customer, or both."""

    anonymous_id = _id_field("The browser's tracking id.")
    user_id = _id_field("The shop's customer id. With a public key only together with `signature`.")
    signature = serializers.CharField(
        required=False, max_length=64, help_text="HMAC-SHA256 of `user_id` with the store's signing secret."
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if not values.get("anonymous_id") and not values.get("user_id"):
            raise serializers.ValidationError("Name somebody: `anonymous_id`, `user_id`, or both.")
        return values


class SubjectConsentSerializer(serializers.Serializer[Any]):
    granted = serializers.ListField(child=serializers.ChoiceField(PURPOSES))
    since = serializers.DateTimeField()


class ConsentSerializer(serializers.Serializer[Any]):
    """What is permitted now. `visitor` and `customer` are null where they have not decided; both must permit where both have."""

    granted = serializers.ListField(
        child=serializers.ChoiceField(PURPOSES), help_text="What holds in the end."
    )
    visitor = SubjectConsentSerializer(allow_null=True)
    customer = SubjectConsentSerializer(allow_null=True)


class ConsentInput(serializers.Serializer[Any]):
    """A decision, with what proves it. Send `receipt_id` to be able to send it again."""

    choice = serializers.ChoiceField(
        API_CHOICES,
        help_text="save: only the `purposes` listed; api: what a certified platform on the page says; "
        "dismiss: what the law of the visitor's region makes of going on.",
    )
    purposes = serializers.ListField(
        child=serializers.ChoiceField([purpose.slug for purpose in OPTIONAL]),
        required=False,
        help_text="With save and api: what is permitted. With dismiss: what had been chosen before, which it never widens.",
    )
    anonymous_id = _id_field("The browser's tracking id. Left out, one is made for who permits recognition.")
    user_id = _id_field("The shop's customer id. With a public key only together with `signature`.")
    signature = serializers.CharField(required=False, max_length=64)
    receipt_id = serializers.UUIDField(
        required=False, help_text="Made by the client: the same twice is one decision."
    )
    notice_hash = serializers.CharField(
        required=False, max_length=64, help_text="`content_hash` of the notice that was shown."
    )
    mechanism = serializers.ChoiceField(
        ConsentMechanism.choices,
        required=False,
        help_text="How they were asked; left out by a browser: as the region's rule has it.",
    )
    gpc = serializers.BooleanField(default=False, help_text="The browser sent Global Privacy Control.")
    source = serializers.ChoiceField(  # type: ignore[assignment]
        PLATFORMS,
        required=False,
        default="",
        help_text="With the choice api: which platform on the page said so.",
    )
    page_url = serializers.CharField(required=False, default="", max_length=2000)
    region = serializers.CharField(required=False, default="", max_length=8, help_text="DE, US-CA, …")
    ip = serializers.IPAddressField(
        required=False, help_text="Of the person, with a secret key; stored truncated."
    )
    user_agent = serializers.CharField(
        required=False, max_length=1000, help_text="Of the person, with a secret key."
    )
    decided_at = serializers.DateTimeField(
        required=False,
        help_text="With a secret key: when it was decided, for decisions taken over from elsewhere.",
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if (values["choice"] == ConsentChoice.API) != bool(values["source"]):
            raise serializers.ValidationError(
                {"source": [f"Name it with the choice api, and only there: {', '.join(PLATFORMS)}."]}
            )
        return values


class RecordedConsentSerializer(serializers.Serializer[Any]):
    receipt_id = serializers.UUIDField()
    granted = serializers.ListField(child=serializers.ChoiceField(PURPOSES))
    anonymous_id = serializers.CharField(
        allow_null=True, help_text="Set it as the tracking id; null: set none, delete any."
    )


class NoticePurposeSerializer(serializers.Serializer[Any]):
    purpose = serializers.ChoiceField(PURPOSES)
    name = serializers.CharField()
    text = serializers.CharField()
    legal_basis = serializers.CharField()
    retention_days = serializers.IntegerField()
    recipients = serializers.ListField(child=serializers.CharField())


class NoticeSerializer(serializers.Serializer[Any]):
    """The notice to show, and the words for its buttons."""

    version = serializers.IntegerField()
    language = serializers.CharField()
    title = serializers.CharField()
    body = serializers.CharField()
    policy = serializers.CharField(help_text="Markdown.")
    content_hash = serializers.CharField(help_text="Ask again whoever answered another one.")
    purposes = NoticePurposeSerializer(many=True)
    labels = serializers.DictField(child=serializers.CharField())


class BannerSerializer(serializers.Serializer[Any]):
    """Banner and preferences for the script on the page of a shop elsewhere."""

    html = serializers.CharField(help_text="A region and a dialog; styles are in /etalage/consent.css.")
    language = serializers.CharField()
    content_hash = serializers.CharField(help_text="Of the notice in `html`: send it with the choice.")
    content_hashes = serializers.ListField(
        child=serializers.CharField(),
        help_text="Of the notice in every language: who answered none of them is asked.",
    )
    mechanism = serializers.ChoiceField(ConsentMechanism.choices)
    region = serializers.CharField()
    granted_by_default = serializers.ListField(
        child=serializers.ChoiceField(PURPOSES), help_text="What `dismiss` permits where the visitor is."
    )


class PrivacyRequestInput(serializers.Serializer[Any]):
    """A request that the shop's server vouches for: it has made sure who asks."""

    kind = serializers.ChoiceField(DataSubjectRequest.Kind.choices)
    user_id = _id_field("The shop's customer id.")
    email = serializers.EmailField(
        required=False, help_text="Of somebody without an account, or for letters."
    )
    message = serializers.CharField(required=False, default="", max_length=2000)
    corrections = serializers.DictField(
        child=serializers.CharField(max_length=300, allow_blank=True),
        required=False,
        default=dict,
        help_text=f"For a correction: {', '.join((*CORRECTABLE_IDENTIFIERS, *CORRECTABLE_PROFILE))}.",
    )
    language = serializers.CharField(required=False, default="en", max_length=5)
    received_at = serializers.DateTimeField(
        required=False, help_text="When the person asked; the deadline counts from then."
    )

    def validate_corrections(self, value: dict[str, str]) -> dict[str, str]:
        unknown = set(value) - {*CORRECTABLE_PROFILE, *CORRECTABLE_IDENTIFIERS}
        if unknown:
            raise serializers.ValidationError(f"Cannot be corrected: {', '.join(sorted(unknown))}.")
        return value

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if not values.get("user_id") and not values.get("email"):
            raise serializers.ValidationError("Name the person: `user_id` or `email`.")
        is_correction = values["kind"] == DataSubjectRequest.Kind.RECTIFICATION
        if is_correction and not values["corrections"] and not values["message"]:
            raise serializers.ValidationError({"corrections": ["Say what is right."]})
        return values


class RequestPartSerializer(serializers.Serializer[Any]):
    processor = serializers.CharField()
    state = serializers.CharField()
    attempts = serializers.IntegerField()
    finished_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField(help_text="Kind of failure; empty: none.")


class PrivacyRequestSerializer(serializers.ModelSerializer[DataSubjectRequest]):
    request_id = serializers.UUIDField(source="public_id")
    parts = RequestPartSerializer(many=True)
    page = serializers.SerializerMethodField(
        help_text="The person's own page about it; whoever has the address may open it."
    )

    class Meta:
        model = DataSubjectRequest
        fields = [
            "request_id",
            "kind",
            "state",
            "law",
            "received_at",
            "due_at",
            "extended_until",
            "decision_reason",
            "completed_at",
            "parts",
            "receipt",
            "page",
        ]

    @extend_schema_field(OpenApiTypes.URI)
    def get_page(self, request: DataSubjectRequest) -> str:
        return request_url(request)


CONSENT_EXAMPLE: Final = {
    "granted": ["necessary", "analytics"],
    "visitor": {"granted": ["necessary", "analytics", "personalisation"], "since": "2026-03-01T12:00:00Z"},
    "customer": {"granted": ["necessary", "analytics"], "since": "2026-03-02T09:30:00Z"},
}
CHOICE_EXAMPLE: Final = {
    "choice": "save",
    "purposes": ["analytics"],
    "receipt_id": "0a3cbb6e-2a5e-4a5e-9d8e-5f7d7f5c1f11",
    "page_url": "https://shop.example/tents/",
}
RECORDED_EXAMPLE: Final = {
    "receipt_id": "0a3cbb6e-2a5e-4a5e-9d8e-5f7d7f5c1f11",
    "granted": ["necessary", "analytics"],
    "anonymous_id": "5d1f5a0c-8a53-4a51-9d0c-0a4f2a5d2f6e",
}
REQUEST_EXAMPLE: Final[dict[str, Any]] = {
    "request_id": "b6f9f0f0-5a33-4f0e-8a55-2f0a0c9b1d10",
    "kind": "erasure",
    "state": "pending",
    "law": "gdpr",
    "received_at": "2026-03-10T11:00:00Z",
    "due_at": "2026-04-10T21:59:59Z",
    "extended_until": None,
    "decision_reason": "",
    "completed_at": None,
    "parts": [],
    "receipt": {},
    "page": "https://shop.example/privacy/requests/b6f9f0f05a334f0e8a552f0a0c9b1d10.c2lnbmVk/",
}
BANNER_EXAMPLE: Final[dict[str, Any]] = {
    "html": '<section class="etalage-consent" role="region" …</section><dialog …</dialog>',
    "language": "en",
    "content_hash": "86959226a7798dbbf67f81be49940a95d2a200c3c95470467a4d2e970738576f",
    "content_hashes": ["86959226a7798dbbf67f81be49940a95d2a200c3c95470467a4d2e970738576f"],
    "mechanism": "opt_in",
    "region": "DE",
    "granted_by_default": [],
}
NOTICE_EXAMPLE: Final[dict[str, Any]] = {
    "version": 1,
    "language": "en",
    "title": "Your privacy, your choice",
    "body": "With your permission we remember what you look at, to show you products that suit you.",
    "policy": "## Who is responsible …",
    "content_hash": "86959226a7798dbbf67f81be49940a95d2a200c3c95470467a4d2e970738576f",
    "purposes": [
        {
            "purpose": "personalisation",
            "name": "Personalisation",
            "text": "Remembers what you look at and buy, to show you products that suit you.",
            "legal_basis": "consent",
            "retention_days": 425,
            "recipients": [],
        }
    ],
    "labels": {"accept": "Accept all", "reject": "Reject all", "choose": "Choose"},
}
