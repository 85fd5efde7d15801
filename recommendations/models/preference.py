from __future__ import annotations

from django.db import models

from accounts.scoping import StoreScoped


class ForgottenProduct(StoreScoped):
    """ "Not this": a product that the shopper does not want to see on a shelf, and that says nothing about their taste."""

    visitor = models.ForeignKey("accounts.Visitor", null=True, on_delete=models.CASCADE, related_name="+")
    customer = models.ForeignKey("accounts.Customer", null=True, on_delete=models.CASCADE, related_name="+")
    product_id = models.CharField(max_length=120)
    forgotten_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["store", "visitor", "customer", "product_id"],
                nulls_distinct=False,
                name="forgotten_once",
            )
        ]


class StatedTaste(StoreScoped):
    """What somebody without an account said that they like, in the taste quiz. Customers' own words stand in their profile.

    `interests`: as a customer's, [{"kind": "category"|"brand", "value": "tents"}].
    """

    visitor = models.ForeignKey("accounts.Visitor", on_delete=models.CASCADE, related_name="+")
    interests = models.JSONField(default=list)
    stated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["store", "visitor"], name="taste_stated_once")]
