from __future__ import annotations

from django.db import models

from accounts.scoping import StoreScoped


class SourceDay(StoreScoped):
    """What one source sent of one kind of event that happened on one day (UTC): a rollup of the log.

    How many came, and how many of them say who, what and for how much; how many may be used for which purpose. Of
    orders, `with_product` and `with_price` count those in which every line has one. Names outside of the vocabulary are
    counted together: a name that a client made up might say who it was about. Rows are added to, never taken from:
    what was erased did arrive.
    """

    api_key = models.ForeignKey(
        "accounts.ApiKey", null=True, on_delete=models.CASCADE, related_name="+", help_text="The source."
    )
    day = models.DateField()
    event_name = models.CharField(max_length=100)
    events = models.BigIntegerField(default=0)
    bots = models.BigIntegerField(default=0)
    with_visitor = models.BigIntegerField(default=0)
    with_customer = models.BigIntegerField(default=0)
    with_person = models.BigIntegerField(default=0, help_text="A visitor or a customer.")
    with_product = models.BigIntegerField(default=0)
    with_price = models.BigIntegerField(default=0)
    with_currency = models.BigIntegerField(default=0)
    for_analytics = models.BigIntegerField(default=0)
    for_personalisation = models.BigIntegerField(default=0)
    for_marketing = models.BigIntegerField(default=0)
    last_occurred_at = models.DateTimeField()
    last_stored_at = models.DateTimeField(help_text="When we took the last of them, by our own clock.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["store", "api_key", "day", "event_name"],
                name="one_row_per_source_and_day",
                nulls_distinct=False,
            )
        ]
