from __future__ import annotations

import uuid
from typing import Final

from django.db import models

from accounts.scoping import StoreScoped


class ProfileSource(models.TextChoices):
    """Where a profile field came from, best first: a weaker source never overwrites a stronger one."""

    DECLARED = "declared", "Declared by the customer"
    CRM = "crm", "CRM or shop server"
    INFERRED = "inferred", "Inferred"


# Lower is better: what the person said beats what the shop's systems say, which beats what was guessed.
RANK: Final = {ProfileSource.DECLARED: 0, ProfileSource.CRM: 1, ProfileSource.INFERRED: 2}
PROFILE_FIELDS: Final = (
    "account_created_at",
    "birth_year",
    "gender",
    "country",
    "region",
    "city",
    "device",
    "language",
    "loyalty_status",
    "interests",
)


class Customer(StoreScoped):
    """A person known to the shop by an id of the shop's own. Pseudonymous: name and e-mail stand in the vault.

    `external_id` is the shop's customer id, the `userId` of events.
    """

    external_id = models.CharField(max_length=200)
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    account_created_at = models.DateTimeField(null=True, blank=True)
    birth_year = models.PositiveSmallIntegerField(null=True, blank=True)
    gender = models.CharField(max_length=20, blank=True)
    country = models.CharField(max_length=2, blank=True)
    region = models.CharField(max_length=80, blank=True)
    city = models.CharField(max_length=80, blank=True)
    device = models.CharField(
        max_length=20, blank=True, help_text="desktop, mobile or tablet: the one used most."
    )
    language = models.CharField(max_length=5, blank=True)
    loyalty_status = models.CharField(max_length=40, blank=True)
    interests = models.JSONField(
        default=list,
        blank=True,
        help_text='Stated interests: [{"kind": "category"|"brand", "value": "tents"}].',
    )
    field_sources = models.JSONField(
        default=dict, blank=True, help_text="Field → source and time of its value."
    )
    is_processing_restricted = models.BooleanField(
        default=False, help_text="Frozen (GDPR 18): stored, not processed."
    )
    has_objected_to_profiling = models.BooleanField(default=False)
    is_personalisation_paused = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store", "external_id"], name="customer_external_id_per_store")
        ]
        indexes = [
            # So few are limited that the consent gate, which asks for them with every batch of events, reads next to nothing.
            models.Index(
                fields=["store"],
                name="customer_with_limits",
                condition=models.Q(is_processing_restricted=True) | models.Q(has_objected_to_profiling=True),
            )
        ]

    def __str__(self) -> str:
        return self.external_id
