"""Pages that installed packages bring are taken away: they know no stores, and what they show has a page of ours.

Schedules are edited at Models → Training; lock-outs are lifted by `manage.py axes_reset`.
"""

# Imported for their registrations, which this module takes back: it may be discovered before them.
import axes.admin
import django_celery_beat.admin
from django.contrib import admin

for model in list(admin.site._registry):
    if model.__module__.startswith((axes.__name__, django_celery_beat.__name__)):
        admin.site.unregister(model)
