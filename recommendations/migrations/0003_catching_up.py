from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("recommendations", "0002_shelves_about_the_page"),
    ]

    operations = [
        migrations.AddField(
            model_name="modelversion",
            name="caught_up_until",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="Visits that ended before were joined to it since it was trained.",
                null=True,
            ),
        ),
    ]
