"""All settings of Etalage: one file, each value an environment variable with a default that runs.

`docs/operations.md` documents each variable; a test holds the two together. Where nothing is said, addresses
and secrets are those that the embedded servers wrote into `.etalage/` when they were first started.
"""

import json
import os
import secrets
from datetime import timedelta
from pathlib import Path

import environ
from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from config.logs import logging_configuration
from config.unfold import UNFOLD  # noqa: F401  (a setting: the theme of the admin)

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

DATA_DIR = Path(env.str("ETALAGE_DATA_DIR", default=str(BASE_DIR / ".etalage")))


def _stored(name: str) -> dict:
    path = DATA_DIR / name
    return json.loads(path.read_text()) if path.exists() else {}


_services = _stored("services.json")
_secrets = _stored("secrets.json")

# --- Trust --------------------------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
# Without a stored key, one for this process only: commands run, and nobody can guess it. Web and worker
# refuse to start so (config.checks).
SECRET_KEY = env.str("SECRET_KEY", default=_secrets.get("SECRET_KEY", "")) or secrets.token_urlsafe(64)
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ETALAGE_KEYS_ARE_STORED = bool(os.environ.get("SECRET_KEY") or _secrets.get("SECRET_KEY"))
ETALAGE_MASTER_KEY = env.str("ETALAGE_MASTER_KEY", default=_secrets.get("ETALAGE_MASTER_KEY", ""))
ETALAGE_SUPPRESSION_KEY = env.str(
    "ETALAGE_SUPPRESSION_KEY", default=_secrets.get("ETALAGE_SUPPRESSION_KEY", "")
)

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# How many proxies of ours stand in front: so many entries at the end of X-Forwarded-For are believed.
ETALAGE_PROXY_COUNT = env.int("PROXY_COUNT", default=0)

HTTPS = env.bool("HTTPS", default=False)
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", default=31_536_000) if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ETALAGE_PROXY_COUNT else None
SECURE_REFERRER_POLICY = "strict-origin-when-cross-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", *env.list("CSP_IMAGE_SOURCES", default=[])],
        "font-src": [SELF],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# Events and shelves are asked for by the pages of shops, from their own origins, with a key and never with a
# cookie.
CORS_URLS_REGEX = r"^/(v1|api/v1)/.*$"
CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_ALLOW_ALL_ORIGINS = not CORS_ALLOWED_ORIGINS
CORS_ALLOW_CREDENTIALS = False
CORS_ALLOW_HEADERS = [
    "accept",
    "authorization",
    "content-type",
    "content-encoding",
    "x-api-key",
    "x-request-id",
    # analytics.js counts its retries: a preflight that forbids it turns a delay into a loss.
    "x-retry-count",
]
CORS_EXPOSE_HEADERS = ["retry-after", "x-request-id"]
CORS_PREFLIGHT_MAX_AGE = 86_400

# --- Applications -------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "config.admin_config.EtalageAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "corsheaders",
    "csp",
    "axes",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "django_prometheus",
    # After those whose admin pages it replaces.
    "config",
    "accounts",
    "catalog",
    "consent",
    "profiles",
    "tracking",
    "segments",
    "recommendations",
    "storefront",
]

MIDDLEWARE = [
    "config.middleware.CollectDirectly",
    "config.middleware.ShelvesDirectly",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "config.middleware.RequestId",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "config.languages.PageLanguage",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "recommendations.staff_bar.StaffBar",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "axes.middleware.AxesMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
CSRF_FAILURE_VIEW = "config.errors.csrf_failure"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- People -------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AXES_FAILURE_LIMIT = env.int("LOGIN_FAILURE_LIMIT", default=10)
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_CLIENT_IP_CALLABLE = "accounts.client_address.client_address"
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/account/"

# --- Data ---------------------------------------------------------------------------------------------------

_database_url = env.str("DATABASE_URL", default="")
# Tables belong to the owner, as which `migrate` runs; web and workers are a role that cannot rewrite the
# ledgers. One address for both works, without that protection.
ETALAGE_DATABASE_OWNER_URL = env.str(
    "DATABASE_OWNER_URL", default=_database_url or _services.get("DATABASE_OWNER_URL", "")
)
DATABASE_POOL_SIZE = env.int("DATABASE_POOL_SIZE", default=0)

DATABASES = {
    "default": {
        **environ.Env.db_url_config(
            _database_url or _services.get("DATABASE_URL", "postgres://localhost/etalage")
        ),
        # Threads of a web process borrow from a pool that checks what it lends; anything else keeps its own
        # connection and checks that.
        "CONN_MAX_AGE": 0 if DATABASE_POOL_SIZE else 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 5,
            "application_name": "etalage",
            # A server that is gone without a word (its machine died, a firewall forgot us) is noticed in seconds.
            "tcp_user_timeout": 10_000,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        },
    }
}
if DATABASE_POOL_SIZE:
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": DATABASE_POOL_SIZE,
        "max_idle": 300,
        # With the database gone, a thread waits this long and no longer.
        "timeout": 3,
        # The pool waits ever longer between its attempts to reconnect. Giving up early lets the next request begin
        # anew, so that a database that is back is used within seconds, however long it was gone.
        "reconnect_timeout": 3,
    }

REDIS_URL = env.str("REDIS_URL", default=_services.get("REDIS_URL", "redis://localhost:6379/0"))
# Of each process, so that a lost Valkey cannot break a page that only wanted a cached fragment.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# --- Background work ----------------------------------------------------------------------------------------

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default=REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_TIME_LIMIT = env.int("TASK_TIME_LIMIT_SECONDS", default=3600)
CELERY_TASK_SOFT_TIME_LIMIT = max(CELERY_TASK_TIME_LIMIT - 60, 1)
# A task that was not finished in this time is given to another worker, so it has to outlast the longest.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 2 * CELERY_TASK_TIME_LIMIT,
    "global_keyprefix": "etalage:celery:",
    "socket_connect_timeout": 2,
}
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0.1}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "etalage"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_MEMORY_PER_CHILD = env.int("WORKER_MAX_MEMORY_MB", default=4096) * 1024
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 30
CELERY_TIMEZONE = "UTC"
DJANGO_CELERY_BEAT_TZ_AWARE = True
# What nobody has to schedule, in seconds or by the clock; beat writes it into the database again at each start.
# Trainings and segments have rows of their own, which the admin edits. A run that is late is left out.
_scheduled: dict[str, float | crontab] = {
    "tracking.tasks.fold_all_stores": 10.0,
    "storefront.tasks.send_outbox": 15.0,
    "tracking.tasks.run_quarantine_jobs": 30.0,
    "recommendations.watch_training": 60.0,
    "recommendations.catch_up_models": 180.0,
    "recommendations.describe_new_products": 20.0,
    "recommendations.update_bandits": 600.0,
    "recommendations.watch_models": crontab(hour="5,17", minute=40),
    "consent.tasks.sweep_requests": 60.0,
    "tracking.tasks.detect_anomalies_all_stores": crontab(minute=20),
    "tracking.tasks.find_duplicates_all_stores": crontab(hour=3, minute=15),
    "tracking.tasks.infer_profiles_all_stores": crontab(hour=3, minute=45),
    "consent.tasks.anchor_ledgers": crontab(hour=1, minute=30),
    "consent.tasks.expire_personal_data": crontab(hour=2, minute=0),
    "consent.tasks.remind_owners": crontab(hour=7, minute=0),
}
CELERY_BEAT_SCHEDULE = {
    task: {"task": task, "schedule": at, "options": {"expires": at if isinstance(at, float) else 43_200}}
    for task, at in _scheduled.items()
}

# --- Interfaces ---------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.authentication.HasKey"],
    "DEFAULT_THROTTLE_CLASSES": ["accounts.throttling.KeyThrottle"],
    "EXCEPTION_HANDLER": "accounts.api_errors.exception_handler",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.LimitOffsetPagination",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "PAGE_SIZE": 50,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "UNAUTHENTICATED_USER": None,
    # `config.proxies` has put the address of the client into REMOTE_ADDR: here the header is not read again.
    "NUM_PROXIES": 0,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Etalage",
    "DESCRIPTION": "Events in, recommendations out: the interface for shops, their servers and their pages.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/(api/)?v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SORT_OPERATION_PARAMETERS": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "tracking.api.schema.add_collecting_endpoints",
    ],
    "ENUM_NAME_OVERRIDES": {
        "SegmentKindEnum": "segments.models.Segment.Kind",
        "PrivacyRequestKindEnum": "consent.models.request.DataSubjectRequest.Kind",
        "PurposeEnum": ["necessary", "analytics", "personalisation", "marketing", "sharing"],
        "OptionalPurposeEnum": ["analytics", "personalisation", "marketing", "sharing"],
    },
}
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
PROMETHEUS_EXPORT_MIGRATIONS = False

# --- Pages --------------------------------------------------------------------------------------------------

LANGUAGE_CODE = env.str("LANGUAGE_CODE", default="en")
LANGUAGES = [("en", _("English")), ("fr", _("French")), ("de", _("German"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
# The visitor's choice in the footer: a necessary cookie, which holds the language and nothing else.
LANGUAGE_COOKIE_NAME = "shop_language"
LANGUAGE_COOKIE_AGE = 180 * 86_400
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_HTTPONLY = True
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_I18N = True
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "config.static_storage.StaticStorage"},
}
# Before the first collectstatic (tests, runserver) files are served from where they stand.
WHITENOISE_USE_FINDERS = not (STATIC_ROOT / "staticfiles.json").exists()
ETALAGE_MEDIA_DIR = MEDIA_ROOT = Path(env.str("ETALAGE_MEDIA_DIR", default=str(DATA_DIR / "media")))
MEDIA_URL = "/media/"

EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="etalage@localhost")

# --- Etalage ------------------------------------------------------------------------------------------------

# Heads of the ledgers and digests of erased ids, by which a restored or rewritten database is found out: best
# on another machine than the database's backups.
ETALAGE_ANCHOR_DIR = Path(env.str("ETALAGE_ANCHOR_DIR", default=str(DATA_DIR / "anchors")))
# Headers in which a proxy of ours says where a visitor is, such as CF-IPCountry; it must overwrite what clients send.
ETALAGE_COUNTRY_HEADER = env.str("COUNTRY_HEADER", default="") if ETALAGE_PROXY_COUNT else ""
ETALAGE_SUBDIVISION_HEADER = env.str("SUBDIVISION_HEADER", default="") if ETALAGE_PROXY_COUNT else ""
# Empty: cookies of consent and recognition belong to the one host that set them.
ETALAGE_COOKIE_DOMAIN = env.str("COOKIE_DOMAIN", default="")
ETALAGE_MODEL_DIR = Path(env.str("ETALAGE_MODEL_DIR", default=str(DATA_DIR / "models")))
# Read by prometheus_client itself; here only to clear up after processes that were killed.
ETALAGE_METRICS_DIR = env.str("PROMETHEUS_MULTIPROC_DIR", default="")
# Events that may wait for the database in one web process, and how long a request waits for its own: beyond
# either, clients are told to try again (503).
ETALAGE_INGEST_MAX_PENDING_EVENTS = env.int("INGEST_MAX_PENDING_EVENTS", default=20_000)
ETALAGE_INGEST_TIMEOUT_SECONDS = env.float("INGEST_TIMEOUT_SECONDS", default=10.0)
ETALAGE_PUBLIC_CALLS_PER_MINUTE = env.int("PUBLIC_CALLS_PER_MINUTE", default=600)
ETALAGE_SECRET_CALLS_PER_MINUTE = env.int("SECRET_CALLS_PER_MINUTE", default=6000)

# The demo shop is a client like any other: it has an address to send to and keys, which `seed_demo` made.
_demo = _stored("demo.json")
ETALAGE_STOREFRONT_STORE = env.str("ETALAGE_STOREFRONT_STORE", default="demo")
ETALAGE_URL = env.str("ETALAGE_URL", default=f"http://127.0.0.1:{env.int('PORT', default=8000)}")
ETALAGE_STOREFRONT_WRITE_KEY = env.str("ETALAGE_STOREFRONT_WRITE_KEY", default=_demo.get("write_key", ""))
ETALAGE_STOREFRONT_SECRET_KEY = env.str("ETALAGE_STOREFRONT_SECRET_KEY", default=_demo.get("secret_key", ""))

# --- Logs ---------------------------------------------------------------------------------------------------

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOG_FORMAT = env.str("LOG_FORMAT", default="json")
LOGGING = logging_configuration(LOG_LEVEL, LOG_FORMAT)
