"""The web application: `granian --interface wsgi config.wsgi:application`."""

import os

# Before numpy and psycopg are imported. Threads share the process's cores, so linear algebra must not start
# threads of its own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("DATABASE_POOL_SIZE", "16")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.wsgi import get_wsgi_application

from config.checks import require_keys

application = get_wsgi_application()
require_keys()
