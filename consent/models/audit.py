from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.scoping import StoreScoped


class AuditHead(StoreScoped):
    """The newest link of a store's audit log; locked last in the transaction that appends."""

    sequence = models.BigIntegerField(default=0)
    digest = models.CharField(max_length=64, default="0" * 64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["store"], name="one_audit_head_per_store")]


class AuditEntry(StoreScoped):
    """Who did what, when and why: a link of a hash chain. Never updated, never deleted; no personal data inside."""

    sequence = models.BigIntegerField()
    recorded_at = models.DateTimeField(default=timezone.now)
    action = models.CharField(max_length=80)
    commitment = models.CharField(max_length=64)
    previous_digest = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)

    class Meta:
        verbose_name_plural = "audit log"
        constraints = [models.UniqueConstraint(fields=["store", "sequence"], name="audit_sequence_per_store")]
        indexes = [models.Index(fields=["store", "action"])]


class AuditPayload(StoreScoped):
    """Actor, target, reason and details of an entry, with the salt of its commitment. Erasable."""

    entry = models.OneToOneField(AuditEntry, on_delete=models.CASCADE, related_name="payload")
    salt = models.CharField(max_length=64)
    actor = models.CharField(
        max_length=120, help_text="user:<id>, key:<prefix>, customer:<public id> or system"
    )
    target = models.CharField(max_length=200, blank=True, db_index=True)
    reason = models.CharField(max_length=500, blank=True)
    details = models.JSONField(default=dict, blank=True)
