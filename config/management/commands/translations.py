"""Bring the catalogues in `locale/` up to date with the sources, or say what they lack."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.translations import catalogues
from config.translations.sources import texts


class Command(BaseCommand):
    help = (
        "Collect what shoppers read into locale/<language>/LC_MESSAGES/django.po, for each language of LANGUAGES, and compile it. "
        "With --check nothing is written. Example: manage.py translations --check"
    )

    # It reads the sources, whatever state the installation is in.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check",
            action="store_true",
            help="Write nothing; fail for a text that is missing, fuzzy or has lost a placeholder.",
        )
        parser.add_argument("--json", action="store_true", help="Report as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        found = texts()
        if not options["check"]:
            for language in catalogues.languages():
                catalogues.update(language, found)
        lacking = {
            language: sorted(catalogues.problems(language, found)) for language in catalogues.languages()
        }
        count = sum(map(len, lacking.values()))
        if options["json"]:
            self.stdout.write(json.dumps({"texts": len(found), "problems": lacking}, ensure_ascii=False))
        else:
            for line in (line for lines in lacking.values() for line in lines):
                self.stdout.write(line)
            self.stdout.write(f"{len(found)} texts in {len(lacking)} languages, {count} problems.")
        if options["check"] and count:
            raise CommandError(
                f"{count} texts are not ready: run manage.py translations, translate in locale/, run it again."
            )
