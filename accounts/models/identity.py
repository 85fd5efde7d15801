from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.scoping import StoreScoped


class Visitor(StoreScoped):
    """A browser or app that agreed to be recognised: the `anonymousId` of events."""

    anonymous_id = models.CharField(max_length=200)
    first_seen_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    country = models.CharField(max_length=2, blank=True)
    device = models.CharField(max_length=20, blank=True)
    is_bot = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store", "anonymous_id"], name="visitor_anonymous_id_per_store")
        ]
        indexes = [models.Index(fields=["store", "last_seen_at"])]

    def __str__(self) -> str:
        return self.anonymous_id


class IdentityLink(StoreScoped):
    """This visitor was this customer, from `valid_from` until `valid_until` (null: still).

    Resolved when read: nothing is ever re-keyed, so that a merge, a shared device and an undo are rows.
    """

    class Source(models.TextChoices):
        IDENTIFY = "identify"
        ALIAS = "alias"
        LOGIN = "login"
        REVIEW = "review"

    visitor = models.ForeignKey(Visitor, on_delete=models.CASCADE, related_name="links")
    customer = models.ForeignKey("accounts.Customer", on_delete=models.CASCADE, related_name="links")
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField(null=True, blank=True)
    source = models.CharField(max_length=10, choices=Source.choices)
    undone_at = models.DateTimeField(null=True, blank=True, help_text="Set when a person took the link back.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["visitor", "customer", "valid_from"], name="one_link_per_start"),
        ]
        indexes = [models.Index(fields=["customer"]), models.Index(fields=["visitor", "valid_from"])]

    def __str__(self) -> str:
        return f"{self.visitor} = {self.customer} from {self.valid_from:%Y-%m-%d %H:%M}"
