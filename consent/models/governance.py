"""What the shop has decided about personal data, who answers for it, and when somebody looked at it last."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from accounts.scoping import StoreScoped


class Policy(StoreScoped):
    """A rule of the shop that somebody owns and that is looked at again by a date."""

    key = models.SlugField(max_length=40, help_text="Stands in the audit log; does not change.")
    title = models.CharField(max_length=120)
    description = models.TextField(blank=True, help_text="What it covers, or where its full text is.")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Answers for it, and is reminded of its review by e-mail.",
    )
    review_every_days = models.PositiveSmallIntegerField("review every … days", default=365)
    next_review_on = models.DateField("next review")
    reminded_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name_plural = "policies"
        constraints = [models.UniqueConstraint(fields=["store", "key"], name="one_policy_per_key")]

    def __str__(self) -> str:
        return self.title


class PolicyReview(StoreScoped):
    """Somebody looked at a policy. Written once: what was thought then is not changed afterwards."""

    class Outcome(models.TextChoices):
        KEPT = "kept", "Kept as it is"
        CHANGED = "changed", "Changed"
        TO_CHANGE = "to_change", "Has to change"

    policy = models.ForeignKey(Policy, on_delete=models.CASCADE, related_name="reviews")
    reviewed_at = models.DateTimeField(auto_now_add=True)
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    note = models.TextField(blank=True)
    next_review_on = models.DateField()

    class Meta:
        ordering = ["-reviewed_at"]

    def __str__(self) -> str:
        return f"{self.get_outcome_display()}, {self.reviewed_at:%Y-%m-%d}"
