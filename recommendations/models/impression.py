from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.scoping import StoreScoped


class Impression(StoreScoped):
    """A product on a shelf that somebody really saw: a fold of Recommendation Viewed, where consent allows."""

    request_id = models.UUIDField()
    placement = models.SlugField(max_length=60)
    product_id = models.CharField(max_length=120)
    rank = models.PositiveSmallIntegerField()
    strategy = models.CharField(max_length=40, blank=True, help_text="The strategy that contributed most.")
    variant = models.CharField(max_length=40, help_text="personalised, control, or an experiment's arm.")
    model_version = models.PositiveIntegerField(null=True)
    propensity = models.FloatField(
        null=True,
        help_text="With which probability it stood at this rank, where chance had a say: for honest evaluation later. "
        "Empty: it was certain, or nobody said.",
    )
    bandit_arm = models.BigIntegerField(
        null=True, help_text="Primary key of the arm whose weights made the shelf, where a bandit drew one."
    )
    bandit_epoch = models.PositiveIntegerField(
        null=True, help_text="The bandit's epoch: with the arm it names the probability of the draw."
    )
    visitor = models.ForeignKey("accounts.Visitor", null=True, on_delete=models.CASCADE, related_name="+")
    customer = models.ForeignKey("accounts.Customer", null=True, on_delete=models.CASCADE, related_name="+")
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["store", "request_id", "product_id"], name="seen_once_per_request"
            )
        ]
        indexes = [
            models.Index(fields=["store", "seen_at"]),
            models.Index(fields=["store", "visitor", "seen_at"]),
        ]


class ImpressionClick(StoreScoped):
    """A click on a shelf's product: a fold of Recommendation Clicked."""

    request_id = models.UUIDField()
    placement = models.SlugField(max_length=60)
    product_id = models.CharField(max_length=120)
    rank = models.PositiveSmallIntegerField(null=True)
    variant = models.CharField(max_length=40, blank=True)
    visitor = models.ForeignKey("accounts.Visitor", null=True, on_delete=models.CASCADE, related_name="+")
    customer = models.ForeignKey("accounts.Customer", null=True, on_delete=models.CASCADE, related_name="+")
    clicked_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["store", "request_id", "product_id"], name="clicked_once_per_request"
            )
        ]
        indexes = [models.Index(fields=["store", "clicked_at"])]
