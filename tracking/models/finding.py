from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils import timezone

from accounts.scoping import StoreScoped


class FindingKind(models.TextChoices):
    VOLUME_DROP = "volume_drop", "Fewer events than usual"
    VOLUME_SPIKE = "volume_spike", "More events than usual"
    WENT_SILENT = "went_silent", "Went silent"
    IMPOSSIBLE_PRICE = "impossible_price", "Impossible price"
    CLOCK_DRIFT = "clock_drift", "Clock is off"
    PAYMENT_MISSING = "payment_missing", "Order without payment"
    PAYMENT_WITHOUT_ORDER = "payment_without_order", "Payment without order"
    PAYMENT_AMOUNT_DIFFERS = "payment_amount_differs", "Payment differs from order"
    PAYMENT_CURRENCY_DIFFERS = "payment_currency_differs", "Payment in another currency"
    PAYMENT_DUPLICATE = "payment_duplicate", "Paid more than once"
    PAYMENT_REFUND_DIFFERS = "payment_refund_differs", "Refund differs from order"
    DUPLICATE_CUSTOMERS = "duplicate_customers", "Maybe the same customer"
    MODEL_DRIFT = "model_drift", "Model fits no longer"


def finding_kinds() -> list[tuple[str, str]]:
    """A callable, so that a new kind needs no migration."""
    return FindingKind.choices


class Finding(StoreScoped):
    """Something about the data that a person should look at. Told by checks that run again and again: the same thing
    is the same row, by `kind` and `key`.

    `evidence` names rows as `<noun>:<id>`: `order:A-17`, `event:<uuid>`, `customer:<pk>`, `product:<external id>`,
    `api_key:<pk>`. Erasure finds a person's findings by it, so whoever reports about a person names them there.
    `fingerprint` is what has to change for a dismissed finding to open again.
    """

    class Severity(models.IntegerChoices):
        LOW = 1, "Low"
        MEDIUM = 2, "Medium"
        HIGH = 3, "High"

    class State(models.TextChoices):
        OPEN = "open", "Open"
        RESOLVED = "resolved", "Resolved"
        DISMISSED = "dismissed", "Dismissed"

    kind = models.CharField(max_length=40, choices=finding_kinds)
    key = models.CharField(max_length=200)
    severity = models.PositiveSmallIntegerField(choices=Severity.choices, default=Severity.MEDIUM)
    summary = models.CharField(max_length=300)
    details = models.JSONField(default=dict, blank=True)
    evidence = ArrayField(models.CharField(max_length=140), default=list, blank=True)
    fingerprint = models.CharField(max_length=64)
    first_seen_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Nobody where what it tells stopped being true.",
    )
    resolved_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["store", "kind", "key"], name="one_finding_per_key")]
        indexes = [
            models.Index(fields=["store", "state", "-severity", "-last_seen_at"]),
            GinIndex(fields=["evidence"], name="finding_by_evidence"),
        ]

    def __str__(self) -> str:
        return self.summary
