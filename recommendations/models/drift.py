from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.scoping import StoreScoped


class DriftReading(StoreScoped):
    """How well the live version still fitted what happened, at one moment. Shares and histograms, nothing of a person."""

    class Level(models.TextChoices):
        OK = "ok", "Fits"
        WARN = "warn", "Drifts"
        BAD = "bad", "Fits no longer"
        UNKNOWN = "unknown", "Too little has happened"

    version = models.ForeignKey(
        "recommendations.ModelVersion", on_delete=models.CASCADE, related_name="drift_readings"
    )
    measured_at = models.DateTimeField(default=timezone.now)
    level = models.CharField(max_length=8, choices=Level.choices, help_text="Of the worst figure.")
    interactions = models.PositiveBigIntegerField(default=0, help_text="Since the version was trained.")
    figures = models.JSONField(
        default=list,
        help_text='[{"name": "unknown_items", "value": 0.03, "limit": 0.05, "level": "ok", "text": "…"}]',
    )

    class Meta:
        ordering = ["-measured_at"]
        indexes = [models.Index(fields=["store", "-measured_at"])]

    def __str__(self) -> str:
        return f"{self.version} at {self.measured_at:%Y-%m-%d %H:%M}"
