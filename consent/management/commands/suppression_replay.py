from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from consent.services.suppression_replay import suppression_replay

EXAMPLE = """
examples:
  manage.py suppression_replay

`manage.py restore` does this by itself; run it after a restore by other means. The list is read from the table and
from ETALAGE_ANCHOR_DIR, so that a backup from before an erasure does not bring the person back.
"""


class Command(BaseCommand):
    help = "Erase again everybody whom a restored backup has brought back."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": EXAMPLE, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def handle(self, *args: Any, **options: Any) -> None:
        count = suppression_replay()
        self.stdout.write(f"{count} {'person' if count == 1 else 'people'} erased again.")
