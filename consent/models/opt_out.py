from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.scoping import StoreScoped


class OptOut(StoreScoped):
    """A standing opt-out of a browser or a customer (CCPA § 1798.120 and 121): it takes away, and never permits anything.

    No choice in a banner ends it: the person does, in the privacy centre. `subject` is as in ConsentState.
    """

    class Kind(models.TextChoices):
        SALE_SHARING = "opt_out", "No sale or sharing"
        SENSITIVE = "limit", "Sensitive data limited"

    class Source(models.TextChoices):
        REQUEST = "request", "Asked by the person"
        AGENT = "agent", "Asked by an authorised agent"
        SIGNAL = "signal", "Global Privacy Control"
        BROWSER = "browser", "Brought along from a browser at log-in"

    subject = models.CharField(max_length=210)
    customer = models.ForeignKey(
        "accounts.Customer", null=True, on_delete=models.CASCADE, related_name="opt_outs"
    )
    kind = models.CharField(max_length=16, choices=Kind.choices)
    withheld = models.PositiveSmallIntegerField(
        help_text="Mask of the purposes that it takes away, as they were understood on the day."
    )
    source = models.CharField(max_length=8, choices=Source.choices, default=Source.REQUEST)
    since = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, help_text="When the person took it back.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["store", "subject", "kind"],
                condition=Q(ended_at=None),
                name="one_standing_opt_out_of_a_kind",
            )
        ]
        indexes = [models.Index(fields=["store", "subject"], name="opt_out_of_subject")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} since {self.since:%Y-%m-%d}"
