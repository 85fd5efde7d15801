from __future__ import annotations

from typing import Final

from django.conf import settings
from django.db import models

from accounts.scoping import StoreScoped

ANY_EVENT: Final = "*"
IGNORED: Final = "-"


class EventMapping(StoreScoped):
    """What an event of a page's data layer is to us, where the built-in translation does not know it or is not right.

    `source_event` is the pushed name, `*` for every event of the layer. `target_event` is one of our names, "" to leave it as
    translated, `-` to leave the event out. `properties` maps a property of ours, or `products.<property>` of each line, to a
    path in the push (`customVar.sku`, `cart.lines[0].id`) or to a constant in JSON (`"EUR"`). Delivered to every visitor's
    browser: nothing in it is secret.
    """

    class Layer(models.TextChoices):
        GOOGLE = "google", "dataLayer (GA4, Google Tag Manager)"
        ADOBE = "adobe", "adobeDataLayer (Adobe)"

    layer = models.CharField("data layer", max_length=10, choices=Layer.choices, default=Layer.GOOGLE)
    source_event = models.CharField(
        "event in the data layer",
        max_length=100,
        help_text="As it is pushed: `productDetail`. `*` stands for every event of the layer.",
    )
    target_event = models.CharField("becomes", max_length=100, blank=True)
    properties = models.JSONField(default=dict, blank=True)
    is_active = models.BooleanField("in use", default=True)
    note = models.CharField(max_length=200, blank=True, help_text="For whoever reads this next year.")
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["store", "layer", "source_event"], name="one_mapping_per_event_of_a_layer"
            )
        ]
        ordering = ["layer", "source_event"]

    def __str__(self) -> str:
        return f"{self.source_event} → {self.target_event or 'as translated'}"
