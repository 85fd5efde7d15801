"""The demo shop's own data. Of Etalage it knows the accounts, the catalogue and the template tags."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.scoping import StoreScoped


class ShopAccount(StoreScoped):
    """A shopper's account in the shop: the login and its customer."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="shop_account"
    )
    customer = models.OneToOneField(
        "accounts.Customer", on_delete=models.CASCADE, related_name="shop_account"
    )


class Cart(StoreScoped):
    """Kept on the server under a random id in a necessary cookie, or under the account of who is logged in."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    account = models.ForeignKey(ShopAccount, null=True, on_delete=models.CASCADE, related_name="carts")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)


class CartLine(StoreScoped):
    MAX_QUANTITY = 20

    cart = models.ForeignKey(Cart, on_delete=models.CASCADE, related_name="lines")
    product = models.ForeignKey("catalog.Product", on_delete=models.CASCADE, related_name="+")
    quantity = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["cart", "product"], name="one_line_per_product")]


class ShopOrder(StoreScoped):
    """What the shop must keep of a sale. Delivery details are direct identifiers: encrypted in the customer's vault.

    Who buys without an account becomes a customer of that one order, so that name and address have a vault to stand in
    and an erasure finds them. `access_token` lets a guest see the confirmation again, and nobody else.
    """

    class Status(models.TextChoices):
        PAID = "paid", _("Paid")
        AWAITING_PAYMENT = "awaiting_payment", _("Awaiting payment")
        SENT = "sent", _("Sent")
        REFUNDED = "refunded", _("Refunded")

    class Payment(models.TextChoices):
        CARD = "card", _("Card")
        BANK_TRANSFER = "bank_transfer", _("Bank transfer")
        VOUCHER = "voucher", _("Gift voucher")
        DEBIT = "debit", _("Direct debit")

    number = models.CharField(max_length=20)
    access_token = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    customer = models.ForeignKey(
        "accounts.Customer", null=True, on_delete=models.SET_NULL, related_name="shop_orders"
    )
    account = models.ForeignKey(ShopAccount, null=True, on_delete=models.SET_NULL, related_name="orders")
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.PAID)
    placed_at = models.DateTimeField(default=timezone.now)
    currency = models.CharField(max_length=3)
    subtotal_minor_units = models.PositiveIntegerField()
    shipping_minor_units = models.PositiveIntegerField(default=0)
    discount_minor_units = models.PositiveIntegerField(default=0)
    total_minor_units = models.PositiveIntegerField()
    payment_method = models.CharField(max_length=20, choices=Payment.choices)
    payment_reference = models.CharField(max_length=60, blank=True)

    class Meta:
        ordering = ["-placed_at"]
        constraints = [
            models.UniqueConstraint(fields=["store", "number"], name="shop_order_number_per_store")
        ]
        indexes = [models.Index(fields=["account", "-placed_at"])]

    def __str__(self) -> str:
        return self.number


class ShopOrderLine(StoreScoped):
    order = models.ForeignKey(ShopOrder, on_delete=models.CASCADE, related_name="lines")
    product = models.ForeignKey("catalog.Product", null=True, on_delete=models.SET_NULL, related_name="+")
    name = models.CharField(max_length=250)
    quantity = models.PositiveIntegerField()
    unit_price_minor_units = models.PositiveIntegerField()

    @property
    def total_minor_units(self) -> int:
        return self.quantity * self.unit_price_minor_units


class OutboxEvent(StoreScoped):
    """An event waiting to be sent to Etalage by the shop's server, written in the transaction that it tells of."""

    message = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)
    customer = models.ForeignKey(
        "accounts.Customer",
        null=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="Whom it speaks of.",
    )
    sent_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["created_at"], condition=models.Q(sent_at=None), name="outbox_waiting")
        ]
