from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.scoping import StoreScoped


class QuarantineJob(StoreScoped):
    """One deed to many quarantined events, chosen once: those whose `job` this is are still to be done.

    An event leaves its job in the transaction that stores or closes it, which counts its outcome too: a job that
    stopped half way goes on where it was, and counts nothing twice.
    """

    class Deed(models.TextChoices):
        REPLAY = "replay", "Replay"
        MEND = "mend", "Mend and replay"
        DISCARD = "discard", "Discard"

    deed = models.CharField(max_length=10, choices=Deed.choices)
    mend = models.JSONField(
        default=dict, blank=True, help_text="What is changed in each event before it is replayed."
    )
    reason = models.CharField(max_length=500, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    total = models.PositiveIntegerField(default=0)
    stored = models.PositiveIntegerField(default=0)
    duplicates = models.PositiveIntegerField(default=0)
    not_permitted = models.PositiveIntegerField(default=0)
    faulty = models.PositiveIntegerField(default=0)
    not_mended = models.PositiveIntegerField(default=0)
    discarded = models.PositiveIntegerField(default=0)
    left_alone = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["created_at"],
                name="quarantine_job_open",
                condition=models.Q(finished_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_deed_display()} {self.total:,} events"

    @property
    def done(self) -> int:
        return sum(getattr(self, outcome) for outcome in OUTCOMES)


# Outcome, and what it says.
OUTCOMES = {
    "stored": "stored in the log",
    "duplicates": "there already",
    "not_permitted": "not permitted by their shopper: counted, not stored",
    "faulty": "still faulty: they stay in quarantine with their new reason",
    "not_mended": "nothing to mend in them: they stay as they were",
    "discarded": "discarded",
    "left_alone": "left alone: closed meanwhile, or their key is gone",
}
