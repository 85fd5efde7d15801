from __future__ import annotations

from django.db import models

from accounts.scoping import StoreScoped


class Order(StoreScoped):
    """An order as told by events: a fold of Order Completed, Updated, Refunded and Cancelled of one order id."""

    class Status(models.TextChoices):
        UNCONFIRMED = "unconfirmed", "Told by a browser only"
        COMPLETED = "completed", "Completed"
        PARTLY_REFUNDED = "partly_refunded", "Partly refunded"
        REFUNDED = "refunded", "Refunded"
        CANCELLED = "cancelled", "Cancelled"

    order_id = models.CharField(max_length=120)
    customer = models.ForeignKey(
        "accounts.Customer", null=True, on_delete=models.SET_NULL, related_name="orders"
    )
    visitor = models.ForeignKey(
        "accounts.Visitor", null=True, on_delete=models.SET_NULL, related_name="orders"
    )
    status = models.CharField(max_length=16, choices=Status.choices)
    placed_at = models.DateTimeField()
    currency = models.CharField(max_length=3)
    total_minor_units = models.BigIntegerField(default=0)
    subtotal_minor_units = models.BigIntegerField(null=True)
    shipping_minor_units = models.BigIntegerField(null=True)
    tax_minor_units = models.BigIntegerField(null=True)
    discount_minor_units = models.BigIntegerField(default=0)
    refunded_minor_units = models.BigIntegerField(default=0)
    payment_method = models.CharField(max_length=40, blank=True)
    coupon = models.CharField(max_length=80, blank=True)
    purposes = models.PositiveSmallIntegerField(
        default=1, help_text="Bit mask of what the order may be used for."
    )
    is_blocked = models.BooleanField(
        default=False, help_text="Kept by law only, after an erasure: unlinked, used for nothing."
    )
    blocked_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["store", "order_id"], name="order_id_per_store")]
        indexes = [
            models.Index(fields=["store", "placed_at"]),
            models.Index(fields=["customer", "placed_at"]),
        ]

    def __str__(self) -> str:
        return self.order_id


class OrderLine(StoreScoped):
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    position = models.PositiveSmallIntegerField()
    product_id = models.CharField(max_length=120)
    name = models.CharField(max_length=250, blank=True)
    quantity = models.IntegerField()
    refunded_quantity = models.IntegerField(default=0)
    unit_price_minor_units = models.BigIntegerField()
    discount_minor_units = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["order", "position"], name="one_line_per_position")]
