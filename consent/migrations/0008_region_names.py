from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("consent", "0007_answers_of_platforms"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="regionmode",
            options={"verbose_name": "region"},
        ),
    ]
