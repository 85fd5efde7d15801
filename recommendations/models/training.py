from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.scoping import StoreScoped


class EventWeight(StoreScoped):
    """How much an event says about taste: a purchase is not a view."""

    event_name = models.CharField(max_length=100)
    weight = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store", "event_name"], name="one_weight_per_event"),
            models.CheckConstraint(condition=models.Q(weight__gte=0), name="event_weight_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.event_name}: {self.weight}"


class ModelVersion(StoreScoped):
    """A trained model: a folder of arrays with a manifest. One per store is live."""

    class State(models.TextChoices):
        CANDIDATE = "candidate", "Trained, not live"
        LIVE = "live", "Live"
        RETIRED = "retired", "Retired"
        REFUSED = "refused", "Refused by the publish gate"

    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.CANDIDATE)
    folder = models.CharField(max_length=300, help_text="Relative to the model directory.")
    trained_at = models.DateTimeField(default=timezone.now)
    data_from = models.DateTimeField(null=True)
    data_until = models.DateTimeField(null=True)
    event_count = models.PositiveBigIntegerField(default=0)
    item_count = models.PositiveIntegerField(default=0)
    metrics = models.JSONField(default=dict, help_text="Offline figures per strategy and for the blend.")
    parameters = models.JSONField(default=dict)
    gate_reason = models.CharField(max_length=500, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    erased_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When a person's sessions were last taken out of it."
    )
    caught_up_until = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="Visits that ended before were joined to it since it was trained.",
    )

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["store", "number"], name="model_number_per_store"),
            models.UniqueConstraint(
                fields=["store"], condition=models.Q(state="live"), name="one_live_model_per_store"
            ),
        ]

    def __str__(self) -> str:
        return f"Model {self.number}"


class TrainingRun(StoreScoped):
    class State(models.TextChoices):
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(
        default=timezone.now, help_text="A run that no longer beats was killed."
    )
    version = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="runs"
    )
    trigger = models.CharField(max_length=20, default="schedule", help_text="schedule, admin or command")
    step = models.CharField(max_length=80, blank=True)
    steps = models.JSONField(
        default=list, blank=True, help_text='Finished steps: [{"name": "fit als", "seconds": 3.2}].'
    )
    error = models.TextField(blank=True)
    is_acknowledged = models.BooleanField(default=False, help_text="Somebody has seen the failure.")

    class Meta:
        ordering = ["-started_at"]


class TrainingSchedule(StoreScoped):
    """When and how a store's models are trained again; kept in step with Celery beat's own table."""

    class Reranker(models.TextChoices):
        OFF = "off", "Off"
        WHEN_IT_WINS = "when_it_wins", "On when it wins"

    every_hours = models.PositiveSmallIntegerField(default=24)
    is_enabled = models.BooleanField(default=True)
    learned_reranker = models.CharField(
        max_length=12,
        choices=Reranker.choices,
        default=Reranker.WHEN_IT_WINS,
        help_text="A small learned correction of the blend, part of a version only where it did better than the blend alone on "
        "choices that it had not learned from. Needs requirements-reranker.txt where models are trained.",
    )
    periodic_task = models.OneToOneField(
        "django_celery_beat.PeriodicTask", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["store"], name="one_training_schedule_per_store")]
