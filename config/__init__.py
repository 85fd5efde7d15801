"""The project: settings, addresses, servers, supervision. Celery finds its application here (`celery -A config`)."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
