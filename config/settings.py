"""All settings of Etalage: one file, each value an environment variable with a default that runs.

`docs/operations.md` documents each variable; a test holds the two together.
"""

import json
from pathlib import Path

import environ

from config.unfold import UNFOLD as UNFOLD

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

DATA_DIR = Path(env.str("ETALAGE_DATA_DIR", default=str(BASE_DIR / ".etalage")))


def _stored(name: str) -> dict[str, str]:
    """What the embedded services or the first start wrote down, or nothing."""
    path = DATA_DIR / name
    return json.loads(path.read_text()) if path.exists() else {}


_services = _stored("services.json")
_secrets = _stored("secrets.json")

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default=_secrets.get("SECRET_KEY", "unset: run manage.py services start"))
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])

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
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {
    "default": env.db_url("DATABASE_URL", default=_services.get("DATABASE_URL", "postgres://localhost/etalage")),
}
REDIS_URL = env.str("REDIS_URL", default=_services.get("REDIS_URL", "redis://localhost:6379/0"))
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default=REDIS_URL)

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("fr", "Français"), ("de", "Deutsch")]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS: list[Path] = []

ETALAGE_MODEL_DIR = Path(env.str("ETALAGE_MODEL_DIR", default=str(DATA_DIR / "models")))
ETALAGE_STOREFRONT_STORE = env.str("ETALAGE_STOREFRONT_STORE", default="demo")
ETALAGE_MASTER_KEY = env.str("ETALAGE_MASTER_KEY", default=_secrets.get("ETALAGE_MASTER_KEY", ""))
ETALAGE_SUPPRESSION_KEY = env.str("ETALAGE_SUPPRESSION_KEY", default=_secrets.get("ETALAGE_SUPPRESSION_KEY", ""))
