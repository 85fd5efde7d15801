import django.db.models.deletion
import django.db.models.manager
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_vault_match_index"),
        ("recommendations", "0005_bandits"),
    ]

    operations = [
        migrations.CreateModel(
            name="DriftReading",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("measured_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "level",
                    models.CharField(
                        choices=[
                            ("ok", "Fits"),
                            ("warn", "Drifts"),
                            ("bad", "Fits no longer"),
                            ("unknown", "Too little has happened"),
                        ],
                        help_text="Of the worst figure.",
                        max_length=8,
                    ),
                ),
                (
                    "interactions",
                    models.PositiveBigIntegerField(default=0, help_text="Since the version was trained."),
                ),
                (
                    "figures",
                    models.JSONField(
                        default=list,
                        help_text='[{"name": "unknown_items", "value": 0.03, "limit": 0.05, "level": "ok", "text": "…"}]',
                    ),
                ),
                (
                    "store",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.store"
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="drift_readings",
                        to="recommendations.modelversion",
                    ),
                ),
            ],
            options={
                "ordering": ["-measured_at"],
                "indexes": [
                    models.Index(fields=["store", "-measured_at"], name="recommendat_store_i_7b06f7_idx")
                ],
            },
            managers=[
                ("all_stores", django.db.models.manager.Manager()),
            ],
        ),
    ]
