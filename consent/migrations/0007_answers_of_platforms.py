from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("consent", "0006_opt_outs_and_agents"),
    ]

    operations = [
        migrations.AddField(
            model_name="consentpayload",
            name="source",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Whose answer was taken over: tcf or gpp, a certified platform on the page. Empty: asked by us.",
                max_length=24,
            ),
            preserve_default=False,
        ),
    ]
