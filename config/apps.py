from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:
    from accounts.models import ApiKey


class ConfigConfig(AppConfig):
    name = "config"
    verbose_name = "Installation"

    def ready(self) -> None:
        from config import checks  # noqa: F401  (registers them)
        from tracking.inventory.kinds import SourceKind, register_kind

        register_kind(SourceKind("simulator", "Simulated shoppers"), _is_simulators)


def _is_simulators(key: ApiKey) -> bool:
    from config.simulated_history import KEY_NAME

    return key.name == KEY_NAME
