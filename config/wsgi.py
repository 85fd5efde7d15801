"""The web application: `granian --interface wsgi config.wsgi:application`."""

import os

# Before numpy and psycopg are imported. Threads share the process's cores, so linear algebra must not start threads of its own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("DATABASE_POOL_SIZE", "16")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from granian.utils.proxies import wrap_wsgi_with_proxy_headers

from config.checks import require_keys

application = get_wsgi_application()
require_keys()
if settings.FORWARDED_ALLOW_IPS:
    application = wrap_wsgi_with_proxy_headers(application, trusted_hosts=settings.FORWARDED_ALLOW_IPS)
