"""`manage.py restore`."""

from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

import redis
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Store
from accounts.valkey import ValkeyUnavailable
from config.backups import restoring
from config.backups import suppressions as suppression_list
from config.backups.errors import BackupError
from config.backups.manifest import verify
from config.backups.owner import drop_database
from consent.services.suppression_replay import suppression_replay
from tracking.folding import fold_new_events, renumber_after_restore

EXAMPLE = """
examples:
  manage.py restore backups/monday
  manage.py restore backups/monday --keys /safe/elsewhere/etalage-keys.json --no-input
  manage.py restore backups/monday --suppressions backups/tuesday

People who were erased since the backup was made are erased again: their suppression is carried over from the present
database, and with --suppressions from a later backup where the present database is lost.
"""


class Command(BaseCommand):
    help = "Put a backup in the place of the present database, models and media; a failure leaves these as they are."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": EXAMPLE, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path, help="a folder that `manage.py backup` wrote")
        parser.add_argument("--keys", type=Path, help="the file of secrets that belongs to the backup")
        parser.add_argument(
            "--suppressions",
            type=Path,
            metavar="BACKUP",
            help="a later backup whose erasures are to hold too",
        )
        parser.add_argument(
            "--keep-former", action="store_true", help="keep the replaced database under another name"
        )
        parser.add_argument(
            "--disconnect-others", action="store_true", help="end the sessions of processes that still run"
        )
        parser.add_argument("--no-input", action="store_false", dest="asks", help="do not ask")

    def handle(self, *, path: Path, **options: Any) -> None:
        try:
            self._restore(path, **options)
        except (BackupError, OSError) as error:
            raise CommandError(str(error)) from error

    def _restore(
        self,
        path: Path,
        *,
        keys: Path | None,
        suppressions: Path | None,
        keep_former: bool,
        disconnect_others: bool,
        asks: bool,
        **options: Any,
    ) -> None:
        manifest = verify(path)
        self.stdout.write(f"{path} of {manifest['created_at']} is whole: {len(manifest['files'])} files.")
        if (
            asks
            and input("Everything recorded since then is lost. Type 'restore' to go on: ").strip()
            != "restore"
        ):
            raise CommandError("Nothing was changed.")
        former = restoring.restore(path, keys_path=keys, disconnect_others=disconnect_others)
        call_command("migrate", interactive=False, verbosity=0)
        if suppressions is not None:
            suppression_list.read_of(suppressions)
        renumber_after_restore()
        erased = suppression_replay()
        try:
            restoring.forget_cached_profiles()
        except (redis.RedisError, ValkeyUnavailable) as error:
            self.stderr.write(
                f"Valkey could not be emptied ({error}): delete its keys etalage:* before you open the shop."
            )
        for store in Store.objects.order_by("pk"):
            fold_new_events(store.pk)
        if not keep_former:
            drop_database(former)
        self.stdout.write(f"Restored. {erased} people who had been erased since were erased again.")
        if keep_former:
            self.stdout.write(f"The former database is {former}.")
        if keys is not None:
            self.stdout.write("The secrets were restored too: start every process anew.")
