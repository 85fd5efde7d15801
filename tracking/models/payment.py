from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.scoping import StoreScoped
from tracking.models.order import Order


class OrderPayment(StoreScoped):
    """One of the ways in which an order was paid, as its events told: a voucher and a card are two."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="payments")
    position = models.PositiveSmallIntegerField()
    method = models.CharField(max_length=40, blank=True)
    amount_minor_units = models.BigIntegerField(null=True)
    instalments = models.PositiveSmallIntegerField(default=1)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["order", "position"], name="one_payment_per_position")]

    def __str__(self) -> str:
        return self.method


class SettledPayment(StoreScoped):
    """A line of a payment provider's settlement file, by the provider's own id: read twice it is one row.

    `amount_minor_units` is what the shopper paid, negative for what went back. The description of the file is not
    kept: people's names stand in it.
    """

    class Kind(models.TextChoices):
        CHARGE = "charge", "Payment"
        REFUND = "refund", "Refund"
        DISPUTE = "dispute", "Chargeback"

    provider = models.CharField(max_length=40)
    reference = models.CharField(max_length=120, help_text="The provider's id of this line.")
    source = models.CharField(max_length=120, blank=True, help_text="The provider's id of the payment.")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    order_id = models.CharField(max_length=120, blank=True)
    amount_minor_units = models.BigIntegerField()
    fee_minor_units = models.BigIntegerField(default=0)
    currency = models.CharField(max_length=3)
    method = models.CharField(max_length=40, blank=True)
    settled_at = models.DateTimeField()
    read_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store", "provider", "reference"], name="one_row_per_settlement")
        ]
        indexes = [models.Index(fields=["store", "order_id"]), models.Index(fields=["store", "settled_at"])]

    def __str__(self) -> str:
        return self.reference
