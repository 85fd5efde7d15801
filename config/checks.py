"""What has to be in place before this installation may serve anybody."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from environ import Env

REMEDY = "Run `manage.py services start` once, which makes and stores them, or set them in the environment."


def missing_keys() -> list[str]:
    """Names of the secrets that are neither stored nor in the environment."""
    is_there = {
        "SECRET_KEY": settings.ETALAGE_KEYS_ARE_STORED,
        "ETALAGE_MASTER_KEY": bool(settings.ETALAGE_MASTER_KEY),
        "ETALAGE_SUPPRESSION_KEY": bool(settings.ETALAGE_SUPPRESSION_KEY),
    }
    return [name for name, there in is_there.items() if not there]


def require_keys() -> None:
    """Raises ImproperlyConfigured when a secret is missing: a web process or a worker without them would
    write what nobody can read.
    """
    missing = missing_keys()
    if missing:
        raise ImproperlyConfigured(f"Missing: {', '.join(missing)}. {REMEDY}")


@register(Tags.security, deploy=True)
def check_keys(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    return [Error(f"{name} is not set.", hint=REMEDY, id="etalage.E001") for name in missing_keys()]


@register(Tags.database, deploy=True)
def check_roles(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """The ledgers are only append-only when the runtime role is not the one that owns the tables."""
    database = settings.DATABASES["default"]
    if Env.db_url_config(settings.ETALAGE_DATABASE_OWNER_URL or "postgres://")["USER"] != database.get(
        "USER"
    ):
        return []
    hint = "Give migrations a role of their own in DATABASE_OWNER_URL and run everything else as etalage_app."
    return [
        Warning(
            "The database role of web and workers owns the tables, and could rewrite the ledgers.",
            hint=hint,
            id="etalage.W001",
        )
    ]
