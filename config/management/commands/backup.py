"""`manage.py backup`."""

from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.backups.errors import BackupError
from config.backups.writing import back_up

EXAMPLE = """
examples:
  manage.py backup backups/monday
  manage.py backup backups/monday --keys /safe/elsewhere/etalage-keys.json
"""


class Command(BaseCommand):
    help = "Write the database, the models and the media into a new folder. The shop may stay open meanwhile."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": EXAMPLE, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path, help="the folder to make")
        parser.add_argument(
            "--keys", type=Path, help="also write the secrets, to this file; keep it apart from the backup"
        )

    def handle(self, *, path: Path, keys: Path | None, **options: Any) -> None:
        try:
            manifest = back_up(path, keys)
        except (BackupError, OSError) as error:
            raise CommandError(str(error)) from error
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        self.stdout.write(
            f"{path}: {len(manifest['files'])} files, {size / 1e6:.1f} MB, verified by hash on restore."
        )
        if keys is None:
            self.stdout.write(
                "The secrets are not in it: without them the vault stays closed. Keep a copy with --keys FILE."
            )
