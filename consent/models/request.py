from __future__ import annotations

import json
import uuid
from typing import Any, Final

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.scoping import StoreScoped
from accounts.sealing import seal, unseal


class DataSubjectRequest(StoreScoped):
    """A person's request about their data, with its law, its deadline and its state.

    What says who asks and what they wrote is sealed (`contact`, `message`, `corrections`, `subject`) and deleted when the
    person is. `public_id` names the request in letters, receipts and the audit log.
    """

    class Kind(models.TextChoices):
        ACCESS = "access", _("Access and portability")
        RECTIFICATION = "rectification", _("Correction")
        ERASURE = "erasure", _("Erasure")
        RESTRICTION = "restriction", _("Restriction")
        OBJECTION = "objection", _("Objection to profiling")
        OPT_OUT = "opt_out", _("Opt-out of sale and sharing")
        LIMIT = "limit", _("Limit on sensitive data")

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
        GDPR = "gdpr", _("GDPR")
        CCPA = "ccpa", _("CCPA")

    class Source(models.TextChoices):
        ACCOUNT = "account", "Logged in"
        EMAIL = "email", "By e-mail code"
        BROWSER = "browser", "A browser without account"
        AGENT = "agent", "By an authorised agent"
        API = "api", "Through the shop's server"
        STAFF = "staff", "Taken by staff"

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    state = models.CharField(max_length=20, choices=State.choices, default=State.PENDING)
    law = models.CharField(max_length=8, choices=Law.choices, default=Law.GDPR)
    source = models.CharField(max_length=8, choices=Source.choices, default=Source.ACCOUNT)
    language = models.CharField(max_length=5, default="en", help_text="In which letters are written.")
    customer = models.ForeignKey(
        "accounts.Customer", null=True, blank=True, on_delete=models.SET_NULL, related_name="requests"
    )
    subject_pseudonym = models.CharField(
        max_length=64,
        blank=True,
        db_index=True,
        help_text="Keyed hash: tells requests of one person apart after erasure.",
    )
    sealed = models.BinaryField(
        null=True,
        blank=True,
        help_text="Contact, message, corrections and ids, encrypted. Deleted with the person.",
    )
    received_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(help_text="The deadline that holds: after an extension the later one.")
    acknowledged_at = models.DateTimeField(
        null=True, blank=True, help_text="When the receipt was confirmed to whoever asked."
    )
    extended_until = models.DateTimeField(null=True, blank=True)
    extension_reason = models.CharField(max_length=300, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    decision_reason = models.CharField(max_length=500, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    identity_confirmed_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Of an agent's request: when the person confirmed it, or staff made sure of it directly.",
    )
    review_asked_at = models.DateTimeField(
        null=True, blank=True, help_text="When the person asked that a human look at it (GDPR 21 and 22)."
    )
    reviewed_at = models.DateTimeField(null=True, blank=True, help_text="When a human answered that.")
    receipt = models.JSONField(
        default=dict, blank=True, help_text="What was done where and when, without personal data."
    )
    archive = models.BinaryField(
        null=True, blank=True, help_text="The export of an access request (ZIP, encrypted), until it expires."
    )
    archive_expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["store", "state", "due_at"])]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {str(self.public_id)[:8]}"

    @property
    def private(self) -> dict[str, Any]:
        """What is sealed: `contact`, `message`, `corrections`, `subjects`, `agent`, `review`; empty once the person is erased."""
        if self.sealed is None:
            return {}
        content: dict[str, Any] = json.loads(unseal(f"request {self.public_id}", bytes(self.sealed)))
        return content

    @private.setter
    def private(self, content: dict[str, Any]) -> None:
        self.sealed = seal(f"request {self.public_id}", json.dumps(content).encode()) if content else None

    @property
    def contact(self) -> str:
        """Where letters go; empty where nobody gave an address, or it is erased."""
        return str(self.private.get("contact", ""))

    @property
    def message(self) -> str:
        """What the person wrote."""
        return str(self.private.get("message", ""))

    @property
    def agent(self) -> dict[str, Any]:
        """Of an agent's request: `name`, `organisation`, `email` and `may_fetch` (whether the export is for them too)."""
        return dict(self.private.get("agent", {}))

    @property
    def corrections(self) -> dict[str, str]:
        """Of a rectification: field → the right value."""
        return dict(self.private.get("corrections", {}))


# Opt-outs of the CCPA: nobody's identity is asked for, nobody decides on them, and they hold at once (§ 7026(d), § 7027(e)).
OPT_OUT_KINDS: Final = frozenset({DataSubjectRequest.Kind.OPT_OUT, DataSubjectRequest.Kind.LIMIT})


class RequestPart(StoreScoped):
    """One processor's share of a request: retried by itself, failing by itself."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed, will be tried again"

    request = models.ForeignKey(DataSubjectRequest, on_delete=models.CASCADE, related_name="parts")
    processor = models.CharField(max_length=60)
    stage = models.PositiveSmallIntegerField(default=50, help_text="Lower stages run first.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    report = models.JSONField(default=dict, blank=True)
    output = models.BinaryField(
        null=True, blank=True, help_text="This part of an export, encrypted, until the archive is made of it."
    )
    error = models.CharField(max_length=500, blank=True, help_text="Kind of failure, without personal data.")
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    retry_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["stage", "processor"]
        constraints = [
            models.UniqueConstraint(fields=["request", "processor"], name="one_part_per_processor")
        ]
        indexes = [models.Index(fields=["state", "retry_at"])]

    def __str__(self) -> str:
        return f"{self.request}: {self.processor}"


class IdentityChallenge(StoreScoped):
    """The code that was mailed to somebody who asks without an account: ten minutes, three attempts."""

    request = models.OneToOneField(DataSubjectRequest, on_delete=models.CASCADE, related_name="challenge")
    code_digest = models.CharField(max_length=64)
    expires_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    sent_count = models.PositiveSmallIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)


def default_automatic_kinds() -> list[str]:
    return [
        DataSubjectRequest.Kind.ACCESS,
        DataSubjectRequest.Kind.ERASURE,
        DataSubjectRequest.Kind.RESTRICTION,
        DataSubjectRequest.Kind.OBJECTION,
    ]


class RequestPolicy(StoreScoped):
    """How a store handles requests: what needs no officer's decision once the person is known, and for how long exports wait."""

    automatic_kinds = ArrayField(
        models.CharField(max_length=16, choices=DataSubjectRequest.Kind.choices),
        default=default_automatic_kinds,
        blank=True,
        help_text="Carried out without a decision when asked by somebody who is logged in. Everything else waits for one.",
    )
    archive_days = models.PositiveSmallIntegerField(
        default=7, help_text="For how many days an export can be fetched."
    )
    due_soon_days = models.PositiveSmallIntegerField(
        default=7, help_text="From how many days before the deadline to warn."
    )

    class Meta:
        verbose_name_plural = "request policies"
        constraints = [models.UniqueConstraint(fields=["store"], name="one_request_policy_per_store")]
