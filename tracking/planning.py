"""What the database's planner knows of the log and its folds."""

from __future__ import annotations

from typing import Final

from django.db import connection

_TABLES: Final = (
    "tracking_event",
    "tracking_session",
    "tracking_order",
    "tracking_orderline",
    "accounts_visitor",
    "accounts_customer",
    "accounts_identitylink",
    "consent_consentstate",
    "catalog_product",
)


def refresh_statistics() -> None:
    """Have the tables counted anew after a bulk load.

    Left to autovacuum it takes a minute or more, in which a query over tables that just were empty is planned as if
    they still were: computing segments took 70 s instead of one. The runtime role may do this from PostgreSQL 17
    on (MAINTAIN); before, the server skips it with a warning.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {', '.join(_TABLES)}")
