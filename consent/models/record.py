"""The consent ledger: append-only proof, and the present state folded from it."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from accounts.scoping import StoreScoped


class ConsentChoice(models.TextChoices):
    ACCEPT = "accept", "Accepted all"
    REJECT = "reject", "Rejected all"
    SAVE = "save", "Chose"
    DISMISS = "dismiss", "Dismissed"
    GPC = "gpc", "Global Privacy Control"
    API = "api", "By the shop"
    WITHDRAW = "withdraw", "Withdrew"


class ConsentMechanism(models.TextChoices):
    OPT_IN = "opt_in", "Opt-in"
    OPT_OUT = "opt_out", "Opt-out"
    NOTICE_ONLY = "notice_only", "Notice only"


class LedgerHead(StoreScoped):
    """The newest link of a store's consent chain; locked last in the transaction that appends."""

    sequence = models.BigIntegerField(default=0)
    digest = models.CharField(max_length=64, default="0" * 64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["store"], name="one_consent_head_per_store")]


class ConsentRecord(StoreScoped):
    """One decision: a link of the chain. Never updated, never deleted; holds a commitment, no personal data.

    `commitment` = SHA-256(salt ‖ canonical payload); `digest` = SHA-256(previous digest, sequence, time, commitment).
    Salt and payload stand in ConsentPayload, which erasure may delete: the entry then verifies as erased.
    """

    sequence = models.BigIntegerField()
    recorded_at = models.DateTimeField(default=timezone.now)
    commitment = models.CharField(max_length=64)
    previous_digest = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store", "sequence"], name="consent_sequence_per_store")
        ]


class ConsentPayload(StoreScoped):
    """What the record commits to. Erasable."""

    record = models.OneToOneField(ConsentRecord, on_delete=models.CASCADE, related_name="payload")
    salt = models.CharField(max_length=64)
    receipt_id = models.UUIDField(db_index=True, help_text="Proof id held by the visitor; not a tracking id.")
    notice_version = models.PositiveIntegerField(null=True)
    notice_hash = models.CharField(max_length=64, blank=True)
    language = models.CharField(max_length=5, blank=True)
    mechanism = models.CharField(
        max_length=12, choices=ConsentMechanism.choices, default=ConsentMechanism.OPT_IN
    )
    method = models.CharField(max_length=10, choices=ConsentChoice.choices)
    granted = ArrayField(models.CharField(max_length=24), default=list)
    denied = ArrayField(models.CharField(max_length=24), default=list)
    served_notice_id = models.UUIDField(default=uuid.uuid4)
    gpc = models.BooleanField(
        default=False, help_text="The browser sent Global Privacy Control with this decision."
    )
    page_url = models.CharField(max_length=500, blank=True)
    region = models.CharField(max_length=8, blank=True)
    visitor_pseudonym = models.CharField(
        max_length=64, blank=True, db_index=True, help_text="Keyed hash of the anonymous id."
    )
    customer_pseudonym = models.CharField(
        max_length=64, blank=True, db_index=True, help_text="Keyed hash of the shop's customer id."
    )
    customer = models.ForeignKey(
        "accounts.Customer",
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="A link for readers; not part of the commitment.",
    )
    ip_truncated = models.CharField(max_length=45, blank=True)
    user_agent = models.CharField(max_length=400, blank=True)
    source = models.CharField(
        max_length=24,
        blank=True,
        help_text="Whose answer was taken over: tcf or gpp, a certified platform on the page. Empty: asked by us.",
    )


class ConsentState(StoreScoped):
    """What a subject permits from `valid_from` on: one row a decision and subject, newest wins. A fold of the ledger.

    `subject` is `v:<anonymous id>` or `c:<customer's external id>`; `granted` is a bit mask of purposes.
    A visitor who refuses without ever having had a tracking id has no subject, and so no row: the cookie holds the refusal,
    the ledger its proof.
    """

    subject = models.CharField(max_length=210)
    granted = models.PositiveSmallIntegerField()
    valid_from = models.DateTimeField()
    overrides_gpc = models.BooleanField(
        default=False,
        help_text="Chosen purpose by purpose although the browser sent Global Privacy Control: the choice stands.",
    )
    record = models.ForeignKey(ConsentRecord, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store", "subject", "valid_from"], name="one_state_per_moment")
        ]
        indexes = [
            models.Index(
                fields=["store", "subject", "-valid_from"],
                include=["granted", "overrides_gpc"],
                name="consent_state_newest",
            )
        ]
