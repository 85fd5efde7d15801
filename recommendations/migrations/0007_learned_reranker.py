from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("recommendations", "0006_drift"),
    ]

    operations = [
        migrations.AddField(
            model_name="placement",
            name="uses_learned_reranker",
            field=models.BooleanField(
                default=True,
                help_text="Where a training learned a correction of the blend that did better than the blend alone, it is applied "
                "after your weights and before rules. It does nothing on shelves about the page, on product and cart pages, and for "
                "shoppers of whom nothing is known.",
                verbose_name="uses the learned reranker",
            ),
        ),
        migrations.AddField(
            model_name="trainingschedule",
            name="learned_reranker",
            field=models.CharField(
                choices=[("off", "Off"), ("when_it_wins", "On when it wins")],
                default="when_it_wins",
                help_text="A small learned correction of the blend, part of a version only where it did better than the blend alone "
                "on choices that it had not learned from. Needs requirements-reranker.txt where models are trained.",
                max_length=12,
            ),
        ),
    ]
