from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.scoping import StoreScoped
from recommendations.models.placement import BlendVersion, Placement


class Bandit(StoreScoped):
    """A trial of several weights on a placement, in which shoppers decide: arms that do better are shown more.

    At most one runs on a placement. What it may try was settled when it began.
    """

    class State(models.TextChoices):
        LEARNING = "learning", "Learning"
        FROZEN = "frozen", "Frozen"
        ENDED = "ended", "Ended"

    class Goal(models.TextChoices):
        CLICKS = "clicks", "Shoppers who click"
        ORDERS = "orders", "Shoppers who order what they clicked"
        BOTH = "both", "Clicks and orders together"

    placement = models.ForeignKey(Placement, on_delete=models.CASCADE, related_name="bandits")
    state = models.CharField(max_length=8, choices=State.choices, default=State.LEARNING)
    goal = models.CharField(max_length=6, choices=Goal.choices, default=Goal.CLICKS)
    order_value = models.FloatField(
        default=10.0, help_text="How many clicks an order is worth, where both count."
    )
    minimum_share = models.FloatField(
        default=0.05, help_text="Share of the shoppers that every arm keeps, 0 to 1."
    )
    epoch_hours = models.PositiveSmallIntegerField(
        default=24, help_text="For so long shares stand still, and a shopper keeps their arm."
    )
    reward_window_hours = models.PositiveSmallIntegerField(
        default=24, help_text="A click or an order counts this long after the shopper first saw the shelf."
    )
    half_life_days = models.FloatField(
        null=True, blank=True, help_text="What is so old counts half; empty: nothing is forgotten."
    )
    bounds = models.JSONField(
        default=dict, blank=True, help_text='Lowest and highest weight, for everybody: {"als": [0.2, 0.8]}.'
    )
    learns_from = models.PositiveIntegerField(
        default=1, help_text="The first epoch that counts: later than 1 after a reset."
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    counted_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When clicks and orders were last counted."
    )
    outcome = models.CharField(max_length=200, blank=True, help_text="How it ended, in words.")

    class Meta:
        ordering = ["-started_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["placement"], condition=~Q(state="ended"), name="one_running_bandit_per_placement"
            ),
            models.CheckConstraint(
                condition=Q(minimum_share__gte=0, minimum_share__lte=0.5), name="bandit_minimum_share"
            ),
            models.CheckConstraint(
                condition=Q(epoch_hours__gte=1, reward_window_hours__gte=1), name="bandit_lasts_an_hour"
            ),
        ]

    def __str__(self) -> str:
        return f"Bandit on {self.placement}"


class BanditArm(StoreScoped):
    """Weights that a bandit tries: a version that nobody can change any more."""

    bandit = models.ForeignKey(Bandit, on_delete=models.CASCADE, related_name="arms")
    number = models.PositiveSmallIntegerField(help_text="From 1, in the order in which it was named.")
    name = models.CharField(max_length=80)
    origin = models.CharField(max_length=120, blank=True, help_text="Where its weights come from, in words.")
    version = models.ForeignKey(BlendVersion, on_delete=models.CASCADE, related_name="arms")

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["bandit", "number"], name="arm_number_per_bandit"),
        ]

    def __str__(self) -> str:
        return self.name


class BanditEpoch(StoreScoped):
    """A stretch of time in which shares stand still. `draw` names the drawing of lots: epochs that share one keep everybody's arm."""

    bandit = models.ForeignKey(Bandit, on_delete=models.CASCADE, related_name="epochs")
    number = models.PositiveIntegerField()
    draw = models.PositiveIntegerField()
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    is_settled = models.BooleanField(
        default=False, help_text="Nothing that happens now can change its counts."
    )

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["bandit", "number"], name="epoch_number_per_bandit"),
            models.UniqueConstraint(
                fields=["bandit"], condition=Q(ended_at=None), name="one_open_epoch_per_bandit"
            ),
        ]


class BanditShare(StoreScoped):
    """An arm in an epoch: the share of the shoppers that it had, and what they did. Counts name nobody."""

    epoch = models.ForeignKey(BanditEpoch, on_delete=models.CASCADE, related_name="shares")
    arm = models.ForeignKey(BanditArm, on_delete=models.CASCADE, related_name="shares")
    share = models.FloatField(help_text="The probability with which a shopper got the arm.")
    best = models.FloatField(help_text="The probability that it is the best arm, as the epoch began.")
    shoppers = models.PositiveIntegerField(default=0)
    clickers = models.PositiveIntegerField(default=0)
    buyers = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["arm__number"]
        constraints = [
            models.UniqueConstraint(fields=["epoch", "arm"], name="one_share_per_arm_and_epoch"),
            models.CheckConstraint(condition=Q(share__gte=0, share__lte=1), name="share_is_a_probability"),
            models.CheckConstraint(
                condition=Q(buyers__lte=F("clickers"), clickers__lte=F("shoppers")), name="buyers_clicked"
            ),
        ]
