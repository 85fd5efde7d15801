"""Pages that installed packages bring are taken away: they know no stores, and what they show has a page of ours.

Schedules are edited at Models → Training; lock-outs are lifted by `manage.py axes_reset`.
"""

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule

admin.site.unregister(
    [AccessAttempt, AccessFailureLog, AccessLog, ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule]
)
