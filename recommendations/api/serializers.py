"""What the endpoint takes and gives, for the schema. Answers are written by `answers.py`: serializers would cost more than the shelf."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import serializers

from recommendations.shelf import MAX_LIMIT


class RecommendationsQuery(serializers.Serializer[Any]):
    limit = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_LIMIT,
        help_text="Products wanted. Default: the placement's size.",
    )
    category = serializers.CharField(
        required=False, help_text="Path of a category (`camping/tents`): only products in it or below."
    )
    product_id = serializers.CharField(
        required=False, help_text="The product whose page the shelf stands on."
    )
    cart = serializers.CharField(required=False, help_text="Product ids in the cart, comma-separated.")
    exclude = serializers.CharField(
        required=False,
        help_text="Product ids that the page shows already, comma-separated; their variants are left out too.",
    )
    visitor_id = serializers.CharField(
        required=False, help_text="The visitor's `anonymousId`, where they agreed to be recognised."
    )
    customer_id = serializers.CharField(
        required=False,
        help_text="The shop's id of the customer (`userId`): with a secret key, or with `signature`.",
    )
    signature = serializers.CharField(
        required=False,
        help_text="HMAC-SHA256 of customer_id with the store's signing secret, in hexadecimal; needed with a public key.",
    )
    paused = serializers.BooleanField(
        required=False,
        help_text="1: the shopper has paused personalisation. The shelf is everybody's, and nothing is read about them.",
    )
    explain = serializers.BooleanField(
        required=False, help_text="1: how the shelf came about. Needs a key with the scope `manage`."
    )
    language = serializers.CharField(
        required=False,
        help_text="Of the heading and the reasons: `en`, `fr` or `de`. Default: Accept-Language, else the store's.",
    )
    view = serializers.ChoiceField(
        choices=["json", "html"], required=False, help_text="html: the shelf as markup, for <etalage-shelf>."
    )


class ForgetInput(serializers.Serializer[Any]):
    product_id = serializers.CharField(
        max_length=120, help_text="The product that the shopper does not want to see."
    )
    visitor_id = serializers.CharField(
        required=False, max_length=200, help_text="The visitor's `anonymousId`."
    )
    customer_id = serializers.CharField(
        required=False,
        max_length=200,
        help_text="The shop's id of the customer: with a secret key, or with `signature`.",
    )
    signature = serializers.CharField(
        required=False,
        help_text="HMAC-SHA256 of customer_id with the store's signing secret, in hexadecimal.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.get("visitor_id") and not attrs.get("customer_id"):
            raise serializers.ValidationError({"visitor_id": ["Name a visitor_id or a customer_id."]})
        return attrs


class ForgottenSerializer(serializers.Serializer[Any]):
    forgotten = serializers.BooleanField(
        help_text="false: the shopper does not permit personalisation, so nothing was kept."
    )


class ReasonSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    text = serializers.CharField(help_text="For the shopper, in the language asked for.")
    product_id = serializers.CharField(allow_null=True, help_text="The product that the reason speaks of.")


class RecommendedProductSerializer(serializers.Serializer[Any]):
    product_id = serializers.CharField()
    rank = serializers.IntegerField(help_text="From 1.")
    score = serializers.FloatField(
        help_text="Weighted sum of the strategies' opinions, after rules. 0: it fills the shelf."
    )
    strategy = serializers.CharField(help_text="The strategy that contributed most.")
    strategies = serializers.DictField(
        child=serializers.FloatField(), help_text="Strategy → its contribution to the score."
    )
    reason = ReasonSerializer()
    name = serializers.CharField()
    brand = serializers.CharField(allow_null=True)
    category = serializers.CharField(allow_null=True)
    price = serializers.CharField(help_text="In the currency's main unit, true when the shelf was served.")
    list_price = serializers.CharField(allow_null=True, help_text="Before a reduction.")
    price_minor_units = serializers.IntegerField()
    currency = serializers.CharField()
    stock = serializers.IntegerField(allow_null=True, help_text="null: not tracked.")
    url = serializers.CharField()
    image_url = serializers.CharField()
    variant_group = serializers.CharField()


class ArmSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    share = serializers.FloatField(
        help_text="The probability with which a shopper gets these weights, 0 to 1."
    )
    epoch = serializers.IntegerField(help_text="Shares, and who has which arm, stand still for an epoch.")


class TraceSerializer(serializers.Serializer[Any]):
    weights = serializers.DictField(child=serializers.FloatField())
    weights_source = serializers.CharField(help_text="Whose weights applied.")
    arm = ArmSerializer(
        allow_null=True, help_text="The weights that a bandit drew for the shopper, if one runs."
    )
    density = serializers.CharField(help_text="How much is known about the shopper.")
    segments = serializers.ListField(child=serializers.CharField())
    known_interactions = serializers.IntegerField()
    filtered = serializers.DictField(
        child=serializers.IntegerField(), help_text="Products left out, by filter."
    )
    milliseconds = serializers.DictField(child=serializers.FloatField(), help_text="Time by strategy.")
    items = serializers.ListField(
        child=serializers.DictField(),
        help_text="Per product: blended score, the learned reranker's factor with what each feature gave to it, and rules.",
    )


class ShelfSerializer(serializers.Serializer[Any]):
    request_id = serializers.UUIDField(
        help_text="Send it back with Recommendation Viewed and Recommendation Clicked."
    )
    placement = serializers.CharField()
    heading = serializers.CharField()
    model_version = serializers.IntegerField(allow_null=True)
    variant = serializers.CharField(
        help_text="personalised, control (popular products, to measure against) or non_personal."
    )
    personalised = serializers.BooleanField()
    fallback = serializers.CharField(
        allow_null=True,
        help_text="Why popular products stand in: deadline, no_model, no_weights, nothing_known, shopper_unreadable or starting.",
    )
    token = serializers.CharField(help_text="Signed: send it back as `token` with the two events.")
    items = RecommendedProductSerializer(many=True)
    trace = TraceSerializer(required=False)


SHELF_EXAMPLE: Final[dict[str, Any]] = {
    "request_id": "8a3c7c1e-6f6e-4a57-9d0a-3f1b2c4d5e6f",
    "placement": "home",
    "heading": "For you",
    "model_version": 12,
    "variant": "personalised",
    "personalised": True,
    "fallback": None,
    "token": "WzMsIjhhM2M3YzFl…:1vN3xY:Q2k…",
    "items": [
        {
            "product_id": "tent-042",
            "rank": 1,
            "score": 1.84,
            "strategy": "session_knn",
            "strategies": {"session_knn": 1.0, "item_vectors": 0.52, "content": 0.32},
            "reason": {"code": "viewed", "text": "Because you viewed Fjell 2 tent", "product_id": "tent-017"},
            "name": "Fjell 3 tent",
            "brand": "Nordvik",
            "category": "Tents",
            "price": "249.00",
            "list_price": None,
            "price_minor_units": 24900,
            "currency": "EUR",
            "stock": 7,
            "url": "/p/tent-042/",
            "image_url": "/media/products/tent-042.svg",
            "variant_group": "fjell-3",
        }
    ],
}
