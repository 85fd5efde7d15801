"""The demo shop's own data. Of Etalage it knows the accounts, the catalogue and the template tags."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.scoping import StoreScoped


class ShopAccount(StoreScoped):
    """A shopper's account in the shop: the login and its customer."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="shop_account")
    customer = models.OneToOneField("accounts.Customer", on_delete=models.CASCADE, related_name="shop_account")


class Cart(StoreScoped):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    account = models.ForeignKey(ShopAccount, null=True, on_delete=models.CASCADE, related_name="carts")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)


class CartLine(StoreScoped):
    cart = models.ForeignKey(Cart, on_delete=models.CASCADE, related_name="lines")
    product = models.ForeignKey("catalog.Product", on_delete=models.CASCADE, related_name="+")
    quantity = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cart", "product"], name="one_line_per_product")]


class ShopOrder(StoreScoped):
    """What the shop must keep of a sale. Delivery details are direct identifiers: encrypted in the customer's vault."""

    number = models.CharField(max_length=20)
    account = models.ForeignKey(ShopAccount, null=True, on_delete=models.SET_NULL, related_name="orders")
    placed_at = models.DateTimeField(default=timezone.now)
    currency = models.CharField(max_length=3)
    subtotal_minor_units = models.PositiveIntegerField()
    shipping_minor_units = models.PositiveIntegerField(default=0)
    discount_minor_units = models.PositiveIntegerField(default=0)
    total_minor_units = models.PositiveIntegerField()
    payment_method = models.CharField(max_length=20)
    payment_reference = models.CharField(max_length=60, blank=True)
    email_ciphertext = models.BinaryField(null=True, help_text="Guest's e-mail and address, encrypted; null once erased.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["store", "number"], name="shop_order_number_per_store")]


class ShopOrderLine(StoreScoped):
    order = models.ForeignKey(ShopOrder, on_delete=models.CASCADE, related_name="lines")
    product = models.ForeignKey("catalog.Product", null=True, on_delete=models.SET_NULL, related_name="+")
    name = models.CharField(max_length=250)
    quantity = models.PositiveIntegerField()
    unit_price_minor_units = models.PositiveIntegerField()


class OutboxEvent(StoreScoped):
    """An event waiting to be sent to Etalage by the shop's server, written in the transaction that it tells of."""

    message = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [models.Index(fields=["sent_at", "created_at"])]
