from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.scoping import StoreScoped


class Notice(StoreScoped):
    """A version of the consent notice in one language, frozen once published.

    `content_hash` is the SHA-256 of text, purposes and recipients; a new hash asks every visitor again.
    """

    version = models.PositiveIntegerField()
    language = models.CharField(max_length=5)
    title = models.CharField(max_length=200)
    body = models.TextField()
    policy = models.TextField(blank=True, help_text="The long privacy notice, shown on its own page.")
    content_hash = models.CharField(max_length=64, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["store", "version", "language"], name="notice_version_per_language"
            )
        ]

    def __str__(self) -> str:
        return f"Notice {self.version} ({self.language})"


class PurposeText(StoreScoped):
    """What a purpose is called and means, in one language, as part of a notice."""

    notice = models.ForeignKey(Notice, on_delete=models.CASCADE, related_name="purposes")
    purpose = models.CharField(max_length=24)
    name = models.CharField(max_length=80)
    text = models.TextField()
    legal_basis = models.CharField(max_length=40)
    retention_days = models.PositiveIntegerField()
    recipients = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["notice", "purpose"], name="one_text_per_purpose")]

    def __str__(self) -> str:
        return f"{self.name} ({self.purpose})"
