from __future__ import annotations

import secrets

from django.conf import settings
from django.db import models


def new_signing_secret() -> str:
    return secrets.token_urlsafe(32)


class Store(models.Model):
    """A tenant: one shop with its own catalogue, shoppers, models and keys."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=120)
    currency = models.CharField(max_length=3, default="EUR", help_text="ISO 4217, three letters.")
    country = models.CharField(
        max_length=2, default="DE", help_text="ISO 3166, two letters: whose law applies by default."
    )
    time_zone = models.CharField(max_length=64, default="Europe/Berlin")
    language = models.CharField(max_length=5, default="en")
    signing_secret = models.CharField(
        max_length=64,
        default=new_signing_secret,
        help_text="Signs customer ids (HMAC-SHA256). Known to the shop's server only.",
    )
    controller_name = models.CharField(
        max_length=200, blank=True, help_text="Who is responsible for the data, as shown to customers."
    )
    controller_contact = models.CharField(max_length=200, blank=True)
    protection_officer = models.CharField(
        "data protection officer",
        max_length=200,
        blank=True,
        db_default="",
        help_text="Name and contact; stands in the record of processing.",
    )
    transfers = models.TextField(
        "transfers to third countries",
        blank=True,
        db_default="",
        help_text="Which recipients are outside of the law's area, and what protects the data there. Empty: none.",
    )
    holdout_share = models.FloatField(
        default=0.1, help_text="Share of shoppers (0 to 1) in the control group: they get popular products."
    )
    campaign_starts_session = models.BooleanField(
        "a new campaign starts a session",
        default=False,
        db_default=False,
        help_text="Off: coming back through another advertisement within 30 minutes goes on with the visit.",
    )
    is_simulated = models.BooleanField(default=False, help_text="Its shoppers are made by the simulator.")
    created_at = models.DateTimeField(auto_now_add=True)

    members = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="StoreMembership", related_name="stores"
    )

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    MERCHANDISER = "merchandiser", "Merchandiser"
    PRIVACY_OFFICER = "privacy_officer", "Privacy officer"
    ADMINISTRATOR = "administrator", "Administrator"


class StoreMembership(models.Model):
    """What a user may do in one store. A user may hold several roles there."""

    store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["store", "user", "role"], name="one_row_per_role")]

    def __str__(self) -> str:
        return f"{self.user} is {self.get_role_display().lower()} of {self.store}"
