from __future__ import annotations

from django.db import models

from accounts.scoping import StoreScoped


class Suppression(StoreScoped):
    """A keyed HMAC of an erased identifier: events up to `suppressed_until` are refused; a fresh consent readmits."""

    class Kind(models.TextChoices):
        EMAIL = "email"
        USER_ID = "user_id"
        ANONYMOUS_ID = "anonymous_id"

    kind = models.CharField(max_length=12, choices=Kind.choices)
    digest = models.CharField(max_length=64)
    key_version = models.PositiveSmallIntegerField(default=1)
    suppressed_until = models.DateTimeField(help_text="Events that happened before this are refused.")
    readmitted_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store", "digest"], name="one_suppression_per_identifier")
        ]
