from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.scoping import StoreScoped


class DataSubjectRequest(StoreScoped):
    """A person's request about their data, with its law, its deadline and its state."""

    class Kind(models.TextChoices):
        ACCESS = "access", "Access and portability"
        RECTIFICATION = "rectification", "Correction"
        ERASURE = "erasure", "Erasure"
        RESTRICTION = "restriction", "Restriction"
        OBJECTION = "objection", "Objection to profiling"

    class State(models.TextChoices):
        IDENTITY_UNVERIFIED = "identity_unverified", "Identity not verified"
        PENDING = "pending", "Waiting for a decision"
        APPROVED = "approved", "Approved"
        DENIED = "denied", "Denied"
        PROCESSING = "processing", "Being carried out"
        COMPLETE = "complete", "Complete"
        REQUIRES_INPUT = "requires_input", "Needs an answer"
        PAUSED = "paused", "Paused"
        PENDING_EXTERNAL = "pending_external", "Waiting for a recipient"
        ERROR = "error", "Failed"
        DUPLICATE = "duplicate", "Duplicate"
        CANCELLED = "cancelled", "Cancelled"

    class Law(models.TextChoices):
        GDPR = "gdpr", "GDPR"
        CCPA = "ccpa", "CCPA"

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    state = models.CharField(max_length=20, choices=State.choices, default=State.PENDING)
    law = models.CharField(max_length=8, choices=Law.choices, default=Law.GDPR)
    customer = models.ForeignKey("accounts.Customer", null=True, blank=True, on_delete=models.SET_NULL, related_name="requests")
    subject_pseudonym = models.CharField(max_length=64, blank=True, help_text="Keyed hash: tells requests of one person apart after erasure.")
    message = models.TextField(blank=True, help_text="What the person wrote. Deleted with the person.")
    received_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField()
    extended_until = models.DateTimeField(null=True, blank=True)
    extension_reason = models.CharField(max_length=300, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    decision_reason = models.CharField(max_length=500, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    receipt = models.JSONField(default=dict, blank=True, help_text="What was done where and when, without personal data.")
    archive = models.BinaryField(null=True, blank=True, help_text="The export of an access request (ZIP), until it expires.")
    archive_expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["store", "state", "due_at"])]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {str(self.public_id)[:8]}"


class RequestPart(StoreScoped):
    """One processor's share of a request: retried by itself, failing by itself."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed, will be tried again"

    request = models.ForeignKey(DataSubjectRequest, on_delete=models.CASCADE, related_name="parts")
    processor = models.CharField(max_length=60)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    report = models.JSONField(default=dict, blank=True)
    error = models.CharField(max_length=500, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["request", "processor"], name="one_part_per_processor")]
