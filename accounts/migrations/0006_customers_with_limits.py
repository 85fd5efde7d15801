from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # indexes of large tables are built while the shop is open

    dependencies = [
        ("accounts", "0005_record_of_processing"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="customer",
            index=models.Index(
                condition=models.Q(
                    ("is_processing_restricted", True), ("has_objected_to_profiling", True), _connector="OR"
                ),
                fields=["store"],
                name="customer_with_limits",
            ),
        ),
    ]
