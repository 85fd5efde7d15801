from __future__ import annotations

from django.db import models

from accounts.scoping import StoreScoped


class ImportRun(StoreScoped):
    """One file taken in by `import_events`: how far it came, and what became of its rows.

    Known again by the SHA-256 of the file and of how it was read: the same file with the same options goes on
    where it was, or is known to be done. `rows_read` is written in the transaction that stores the rows, so
    that after a crash neither is ahead of the other. A row that becomes a line of an order counts as read, and
    not as an event: `stored + duplicates + quarantined + discarded` are events.
    """

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        STOPPED = "stopped", "Stopped"
        FAILED = "failed", "Failed"

    api_key = models.ForeignKey(
        "accounts.ApiKey",
        null=True,
        on_delete=models.SET_NULL,
        related_name="import_runs",
        help_text="The source: declares why its events may be stored.",
    )
    file_name = models.CharField(max_length=255)
    file_format = models.CharField(max_length=20)
    content_digest = models.CharField(max_length=64, help_text="SHA-256 of the file's bytes.")
    options = models.JSONField(default=dict, help_text="How the file was read.")
    options_digest = models.CharField(max_length=64)
    started_by = models.CharField(
        max_length=254, help_text="Account of the team, else of the operating system."
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    error = models.CharField(max_length=500, blank=True)
    rows_read = models.BigIntegerField(default=0)
    stored = models.BigIntegerField(default=0)
    duplicates = models.BigIntegerField(default=0)
    quarantined = models.BigIntegerField(default=0)
    discarded = models.BigIntegerField(default=0)
    faults = models.JSONField(default=dict, help_text="Quarantined rows by reason.")
    started_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["store", "content_digest", "options_digest"], name="one_run_per_file_and_options"
            )
        ]
        indexes = [models.Index(fields=["store", "-started_at"])]

    def __str__(self) -> str:
        return self.file_name
