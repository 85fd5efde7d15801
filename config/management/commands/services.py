"""`manage.py services`: the embedded PostgreSQL and Valkey."""

import json
from argparse import RawDescriptionHelpFormatter
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.processes import ServiceError
from config.services import Services

EXAMPLE = """
examples:
  manage.py services start
  manage.py services status --json
  manage.py services stop

A server whose address stands in DATABASE_URL or REDIS_URL is yours: it is shown as "external", and never started or stopped.
"""


class Command(BaseCommand):
    help = "Start, stop or show the embedded PostgreSQL and Valkey, which keep their data in .etalage/."
    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": EXAMPLE, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["start", "stop", "status"])
        parser.add_argument("--json", action="store_true", help="print one JSON object for programmes")

    def handle(self, *, action: str, json: bool, **options: Any) -> None:
        services = Services(settings.DATA_DIR)
        try:
            changed = getattr(services, action)() if action != "status" else []
        except ServiceError as error:
            raise CommandError(str(error)) from error
        self._report(services, action, changed, as_json=json)

    def _report(self, services: Services, action: str, changed: list[str], *, as_json: bool) -> None:
        statuses = services.status()
        if as_json:
            self.stdout.write(
                json.dumps({action: changed, "services": [asdict(status) for status in statuses]})
            )
            return
        for status in statuses:
            where = (
                f"port {status.port}, process {status.pid}, data in {status.directory}" if status.pid else ""
            )
            note = (
                {"start": "just started", "stop": "just stopped"}.get(action, "")
                if status.name in changed
                else ""
            )
            self.stdout.write(
                f"{status.name:10} {status.state:10} {', '.join(filter(None, [where, note]))}".rstrip()
            )
