"""`manage.py demo`: what `make demo` runs once the environment is there."""

import os
from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.demo import CannotStart, Demo
from config.processes import ServiceError
from config.supervisor import ChildFailed

EXAMPLE = """
examples:
  manage.py demo
  manage.py demo --port 9000 --host 0.0.0.0
"""


class Command(BaseCommand):
    help = "Start PostgreSQL and Valkey, make and fill the demo shop where that is not done yet, and serve it until Ctrl-C."
    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": EXAMPLE, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--host",
            default=os.environ.get("HOST") or "127.0.0.1",
            help="address to listen on (default: %(default)s, or HOST)",
        )
        parser.add_argument(
            "--port",
            type=int,
            default=int(os.environ.get("PORT") or 8000),
            help="port to listen on (default: 8000, or PORT)",
        )

        parser.add_argument(
            "--shoppers", type=int, help="how many people to simulate, when none are yet (default: 2000)"
        )
        parser.add_argument("--days", type=int, help="how many days of shopping to simulate (default: 90)")

    def handle(self, *, host: str, port: int, shoppers: int | None, days: int | None, **options: Any) -> None:
        sizes = {"--shoppers": shoppers, "--days": days}
        simulation = tuple(part for name, value in sizes.items() if value for part in (name, str(value)))
        try:
            Demo(host, port, self._say, simulation).run()
        except (CannotStart, ServiceError, ChildFailed) as error:
            raise CommandError(str(error)) from error

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
