"""Built beside writers: on millions of vault entries an ordinary index would hold up every identify call meanwhile."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("accounts", "0003_merge_the_records_compared"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="vaultentry",
            index=models.Index(fields=["match_index"], name="vault_entry_by_match"),
        ),
    ]
