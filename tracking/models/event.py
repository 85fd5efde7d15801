from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.db import models
from django.db.models.fields.json import KeyTextTransform
from django.utils import timezone

from accounts.scoping import StoreScoped

ORDER_EVENTS = ("Order Completed", "Order Updated", "Order Refunded", "Order Cancelled")


class EventType(models.IntegerChoices):
    TRACK = 1, "track"
    PAGE = 2, "page"
    IDENTIFY = 3, "identify"
    ALIAS = 4, "alias"
    GROUP = 5, "group"
    SCREEN = 6, "screen"


class Event(StoreScoped):
    """The log. Appended by the committer, never updated; rows leave it by erasure and retention only.

    `id` is a UUIDv7, so that rows arrive in index order. `purposes` is the bit mask of what the event may be
    used for, as permitted when it happened and when it came. `xact_id` lets readers follow the log without
    missing late commits. The foreign keys have neither constraint nor index of their own: each would cost 100
    million rows something, for rows that only an erasure deletes, which deletes their events first.
    """

    store = models.ForeignKey(
        "accounts.Store", on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    id = models.UUIDField(primary_key=True)
    message_id = models.CharField(max_length=100)
    type = models.SmallIntegerField(choices=EventType.choices)
    name = models.CharField(max_length=100, blank=True)
    visitor = models.ForeignKey(
        "accounts.Visitor",
        null=True,
        on_delete=models.CASCADE,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    customer = models.ForeignKey(
        "accounts.Customer",
        null=True,
        on_delete=models.CASCADE,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    product_id = models.CharField(max_length=120, blank=True, help_text="Of an event about one product.")
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField(default=timezone.now)
    purposes = models.PositiveSmallIntegerField()
    is_bot = models.BooleanField(default=False)
    is_trusted = models.BooleanField(
        default=False, help_text="Sent with a secret key: the shop's server says so, not a browser."
    )
    properties = models.JSONField(default=dict)
    context = models.JSONField(default=dict)
    api_key = models.ForeignKey(
        "accounts.ApiKey",
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    xact_id = models.BigIntegerField(help_text="Transaction that wrote the row.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store", "message_id"], name="event_message_id_per_store")
        ]
        indexes = [
            models.Index(
                fields=["visitor", "occurred_at"],
                name="event_by_visitor",
                condition=models.Q(visitor__isnull=False),
            ),
            models.Index(
                fields=["customer", "occurred_at"],
                name="event_by_customer",
                condition=models.Q(customer__isnull=False),
            ),
            models.Index(fields=["store", "xact_id"], name="event_by_transaction"),
            BrinIndex(fields=["received_at"], name="event_by_receipt", autosummarize=True),
            models.Index(
                "store",
                KeyTextTransform("order_id", "properties"),
                name="event_by_order",
                condition=models.Q(name__in=ORDER_EVENTS),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name or self.get_type_display()} {self.message_id}"


class QuarantinedEvent(StoreScoped):
    """An event that could not be stored, byte for byte, with the reason. Replayed or discarded by a person."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        REPLAYED = "replayed", "Replayed"
        DISCARDED = "discarded", "Discarded"

    message_id = models.CharField(max_length=100, blank=True)
    event_name = models.CharField(max_length=100, blank=True)
    subject_pseudonyms = ArrayField(
        models.CharField(max_length=64),
        default=list,
        blank=True,
        help_text="Keyed hashes of the ids inside, so that erasure finds it.",
    )
    raw = models.BinaryField()
    digest = models.CharField(
        max_length=64,
        help_text="SHA-256 of the message id, else of the raw bytes: a resend is still one row.",
    )
    reason = models.CharField(max_length=60)
    detail = models.CharField(max_length=500, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    api_key = models.ForeignKey("accounts.ApiKey", null=True, on_delete=models.SET_NULL, related_name="+")
    received_at = models.DateTimeField(default=timezone.now)
    job = models.ForeignKey(
        "tracking.QuarantineJob",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        db_index=False,
        related_name="waiting",
        help_text="What is about to be done to it, with many others.",
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["store", "digest"], name="quarantine_once")]
        indexes = [
            models.Index(fields=["job"], name="quarantine_by_job", condition=models.Q(job__isnull=False)),
            models.Index(fields=["store", "state", "-received_at"]),
            GinIndex(fields=["subject_pseudonyms"], name="quarantine_by_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.event_name or 'event'}: {self.reason}"


class DiscardCount(StoreScoped):
    """How many events of a source were not stored for want of permission: a count, and nothing about whom."""

    api_key = models.ForeignKey("accounts.ApiKey", null=True, on_delete=models.CASCADE, related_name="+")
    day = models.DateField()
    event_name = models.CharField(max_length=100)
    reason = models.CharField(max_length=60)
    count = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["store", "api_key", "day", "event_name", "reason"],
                name="one_count_per_source_and_reason",
                nulls_distinct=False,
            )
        ]
