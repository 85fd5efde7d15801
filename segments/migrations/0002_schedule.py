"""Segments are computed anew every half hour. The schedule is a row, which administrators may change."""

from django.db import migrations

NAME = "Recompute segments"


def create(apps, schema_editor):
    crontab, _ = apps.get_model("django_celery_beat", "CrontabSchedule").objects.get_or_create(
        minute="10,40", hour="*", day_of_week="*", day_of_month="*", month_of_year="*", timezone="UTC"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name=NAME,
        defaults={
            "task": "segments.recompute_all",
            "crontab": crontab,
            "description": "Find the members of every store's segments anew, and the clusters.",
        },
    )


def delete(apps, schema_editor):
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name=NAME).delete()


class Migration(migrations.Migration):
    dependencies = [("segments", "0001_initial"), ("django_celery_beat", "__latest__")]
    operations = [migrations.RunPython(create, delete)]
