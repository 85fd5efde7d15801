"""`manage.py migrate` as the role that owns the tables, leaving the runtime role what it may do and no
more.
"""

from typing import Any

from django.conf import settings
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, connections
from environ import Env

from config.services import RUNTIME_ROLE


class Command(migrate.Command):
    """Django's command on a connection of DATABASE_OWNER_URL; the process's other connections stay those
    of the runtime role.
    """

    def handle(self, *args: Any, **options: Any) -> None:
        if options["database"] == DEFAULT_DB_ALIAS:
            self._become_the_owner()
        super().handle(*args, **options)

    def _become_the_owner(self) -> None:
        connection = connections[DEFAULT_DB_ALIAS]
        runtime = dict(connection.settings_dict)
        owner = (
            Env.db_url_config(settings.ETALAGE_DATABASE_OWNER_URL)
            if settings.ETALAGE_DATABASE_OWNER_URL
            else runtime
        )
        if owner["USER"] != runtime["USER"]:
            connection.close()
            connection.settings_dict.update(
                USER=owner["USER"], PASSWORD=owner["PASSWORD"], OPTIONS={**runtime["OPTIONS"], "pool": False}
            )
        self._grant_to_the_runtime_role(connection)

    def _grant_to_the_runtime_role(self, connection: Any) -> None:
        """Tables made from now on are readable and writable for it; what a ledger's migration revokes
        afterwards stays revoked.
        """
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM pg_roles WHERE rolname = %s AND rolname <> current_user", [RUNTIME_ROLE]
            )
            if not cursor.fetchone():
                return
            role = connection.ops.quote_name(RUNTIME_ROLE)
            rights = "SELECT, INSERT, UPDATE, DELETE"
            if connection.pg_version >= 170000:
                rights += ", MAINTAIN"  # for the statistics of what it loads in bulk
            for grant in (f"{rights} ON TABLES", "USAGE, SELECT, UPDATE ON SEQUENCES"):
                cursor.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT {grant} TO {role}")
