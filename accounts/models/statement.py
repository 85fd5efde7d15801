from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.models.customer import ProfileSource
from accounts.scoping import StoreScoped


class ProfileStatement(StoreScoped):
    """What a weaker source last said of a field whose value in force came from a better one (`Customer.field_sources`).

    Kept, so that people can see who said what; it never overwrites. Of a direct identifier the vault holds the one value in
    force: its statements say only who spoke and when, and `value` is null.
    """

    customer = models.ForeignKey("accounts.Customer", on_delete=models.CASCADE, related_name="statements")
    field = models.CharField(max_length=40)
    source = models.CharField(max_length=10, choices=ProfileSource.choices)
    value = models.JSONField(null=True, blank=True)
    stated_at = models.DateTimeField()
    confidence = models.FloatField(
        null=True, blank=True, help_text="Share of what was seen that speaks for it, 0 to 1; inferred only."
    )
    origin = models.CharField(max_length=60, blank=True, help_text="Where it was said, in plain words.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["customer", "field", "source"], name="one_statement_per_field_and_source"
            ),
            models.CheckConstraint(
                condition=Q(confidence=None) | Q(confidence__gte=0, confidence__lte=1),
                name="confidence_is_a_share",
            ),
        ]
