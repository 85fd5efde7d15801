from __future__ import annotations

from django.db import models

from accounts.scoping import StoreScoped


class Session(StoreScoped):
    """A visit: events of one visitor with gaps of at most 30 minutes, 24 hours at most. A fold of the log."""

    id = models.UUIDField(primary_key=True)
    visitor = models.ForeignKey("accounts.Visitor", on_delete=models.CASCADE, related_name="sessions")
    customer = models.ForeignKey(
        "accounts.Customer", null=True, on_delete=models.SET_NULL, related_name="sessions"
    )
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    event_count = models.PositiveIntegerField(default=0)
    product_view_count = models.PositiveIntegerField(default=0)
    search_count = models.PositiveIntegerField(default=0)
    cart_add_count = models.PositiveIntegerField(default=0)
    order_count = models.PositiveIntegerField(default=0)
    revenue_minor_units = models.BigIntegerField(default=0)
    dwell_seconds = models.FloatField(default=0)
    device = models.CharField(max_length=20, blank=True)
    country = models.CharField(max_length=2, blank=True)
    is_bot = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store", "visitor", "started_at"], name="one_session_per_start")
        ]
        indexes = [models.Index(fields=["store", "started_at"])]


class LogPosition(StoreScoped):
    """How far a reader has followed the log: every transaction below `xact_id` has been read."""

    reader = models.CharField(max_length=60)
    xact_id = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["store", "reader"], name="one_position_per_reader")]
