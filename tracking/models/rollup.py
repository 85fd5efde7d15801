"""What the checks of the data read instead of the log: small tables that follow it."""

from __future__ import annotations

from django.db import models

from accounts.scoping import StoreScoped


class HourlyCount(StoreScoped):
    """How many events of a name happened in an hour (UTC) of their own time, by people: bots are left out.

    Late events are added to the hour in which they happened. Names outside of the vocabulary are counted together as
    `(other)`: a name that a client made up might say who it was about.
    """

    hour = models.DateTimeField()
    event_name = models.CharField(max_length=100)
    count = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store", "hour", "event_name"], name="one_count_per_hour")
        ]


class ObservedPrice(StoreScoped):
    """A unit price that events told of a product, each distinct one once. `event_id` is the last that told it."""

    product_id = models.CharField(max_length=120)
    currency = models.CharField(max_length=3, blank=True, help_text="As told; empty: not told.")
    price = models.DecimalField(max_digits=20, decimal_places=4, help_text="In units of the currency.")
    count = models.BigIntegerField(default=0)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    event_id = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["store", "product_id", "currency", "price"], name="one_row_per_price"
            )
        ]
        indexes = [models.Index(fields=["store", "last_seen_at"])]


class ClockSkew(StoreScoped):
    """A histogram per key and hour: how far the clocks of requests were behind ours, `receivedAt − sentAt`."""

    api_key = models.ForeignKey("accounts.ApiKey", on_delete=models.CASCADE, related_name="+")
    hour = models.DateTimeField()
    skew_seconds = models.IntegerField(help_text="Rounded; negative: the sender's clock is ahead of ours.")
    count = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["store", "api_key", "hour", "skew_seconds"], name="one_count_per_skew"
            )
        ]
