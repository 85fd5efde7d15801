from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.scoping import StoreScoped
from consent.models.record import ConsentMechanism


class RegionMode(StoreScoped):
    """What the law of a region asks of the banner. Regions without a row are opt-in.

    `granted`: slugs of purposes that hold, once the notice was shown, until the visitor says no.
    """

    region = models.CharField(
        max_length=8,
        help_text="ISO 3166: a country (US) or a part of one (US-CA), which goes before its country.",
    )
    mechanism = models.CharField("way of asking", max_length=12, choices=ConsentMechanism.choices)
    granted = ArrayField(
        models.CharField(max_length=24), default=list, blank=True, verbose_name="on until somebody says no"
    )

    class Meta:
        verbose_name = "region"
        constraints = [models.UniqueConstraint(fields=["store", "region"], name="one_mode_per_region")]

    def __str__(self) -> str:
        return f"{self.region}: {self.get_mechanism_display()}"
