from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.scoping import StoreScoped


class CustomerMerge(StoreScoped):
    """Staff declared two customer records to be one person. In force until it is undone; the row stays as the record.

    Nothing is re-keyed: readers resolve records to persons (see PersonRecord), so that undoing gives both back as they were.
    The two are the very records that were compared: undoing another merge of either leaves these two together.
    """

    kept = models.ForeignKey("accounts.Customer", on_delete=models.CASCADE, related_name="merges_into")
    merged = models.ForeignKey("accounts.Customer", on_delete=models.CASCADE, related_name="merges_away")
    evidence = models.JSONField(
        default=dict, blank=True, help_text="What spoke for it: kinds and score, no direct identifiers."
    )
    reason = models.CharField(max_length=500, blank=True)
    merged_at = models.DateTimeField(default=timezone.now)
    merged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    undo_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name = "merge"
        constraints = [
            models.UniqueConstraint(
                fields=["kept", "merged"], condition=Q(undone_at=None), name="merged_once"
            ),
            models.CheckConstraint(condition=~Q(kept=F("merged")), name="merge_of_two_customers"),
        ]
        indexes = [models.Index(fields=["store", "-merged_at"])]

    def __str__(self) -> str:
        return f"{self.merged} is {self.kept}"


class PersonRecord(StoreScoped):
    """Which person a customer record belongs to, for those alone who have several: made from the merges in force.

    The kept record has a row too. Up to `since`, the last merge of the person, each record's own decisions count and
    all must permit; a decision after it was taken by the person and counts for all.
    """

    customer = models.OneToOneField(
        "accounts.Customer", on_delete=models.CASCADE, related_name="person_record"
    )
    person = models.ForeignKey("accounts.Customer", on_delete=models.CASCADE, related_name="records")
    since = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["store", "person"])]


class CustomersApart(StoreScoped):
    """Staff looked at two customer records and found two people: the pair is never proposed again.

    `first` has the lower id. Taking it back deletes the row; the audit log keeps both deeds.
    """

    first = models.ForeignKey("accounts.Customer", on_delete=models.CASCADE, related_name="+")
    second = models.ForeignKey("accounts.Customer", on_delete=models.CASCADE, related_name="+")
    reason = models.CharField(max_length=500, blank=True)
    decided_at = models.DateTimeField(default=timezone.now)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        verbose_name = verbose_name_plural = "customers kept apart"
        constraints = [
            models.UniqueConstraint(fields=["first", "second"], name="apart_once"),
            models.CheckConstraint(condition=Q(first__lt=F("second")), name="apart_in_order"),
        ]
