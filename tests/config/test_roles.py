"""`migrate` runs as the owner of the tables; web and workers are a role that can use them and not rewrite the ledgers."""

import os
import subprocess
import sys

import psycopg
import pytest

from tests.servers import ROOT, SERVERS

LEDGERS = {"consent_consentrecord", "consent_auditentry"}


@pytest.fixture(scope="module")
def runtime(django_db_setup: None) -> psycopg.Connection:
    """A connection as the runtime role to a database migrated by `manage.py migrate` with both addresses given."""
    name = "test_roles"
    SERVERS.create_database(name)
    environment = {
        **os.environ,
        "DATABASE_URL": SERVERS.database_url(name, "etalage_app"),
        "DATABASE_OWNER_URL": SERVERS.database_url(name),
    }
    migrate = [sys.executable, "manage.py", "migrate", "storefront", "zero", "-v", "0"]
    subprocess.run(migrate, cwd=ROOT, env=environment, check=True)
    subprocess.run([*migrate[:3], "-v", "0"], cwd=ROOT, env=environment, check=True)
    address = SERVERS.database_url(name, "etalage_app").replace("postgres://", "postgresql://")
    with psycopg.connect(address, autocommit=True) as connection:
        yield connection


def test_tables_belong_to_the_owner(runtime: psycopg.Connection) -> None:
    owners = runtime.execute(
        "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
    ).fetchall()
    assert owners == [("etalage_owner",)]


def test_runtime_role_may_use_every_table_but_rewrite_no_ledger(runtime: psycopg.Connection) -> None:
    rights = runtime.execute(
        """
        SELECT tablename, array(
            SELECT privilege FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) privilege
            WHERE has_table_privilege(quote_ident(tablename), privilege))
        FROM pg_tables WHERE schemaname = 'public'
        """
    ).fetchall()
    by_table = {table: set(privileges) for table, privileges in rights}
    assert by_table.keys() >= LEDGERS
    for table, privileges in by_table.items():
        assert "TRUNCATE" not in privileges, table
        assert {"SELECT", "INSERT"} <= privileges, table
        if table in LEDGERS:
            assert not privileges & {"UPDATE", "DELETE"}, table


def test_runtime_role_changes_no_schema(runtime: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        runtime.execute("ALTER TABLE consent_auditentry DISABLE TRIGGER ALL")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        runtime.execute("CREATE TABLE mine (x int)")


def test_sequences_of_new_tables_can_be_used(runtime: psycopg.Connection) -> None:
    sequences = runtime.execute(
        "SELECT relname, has_sequence_privilege(oid, 'USAGE') FROM pg_class WHERE relkind = 'S'"
    ).fetchall()
    assert len(sequences) > 10
    assert [name for name, usable in sequences if not usable] == []


def test_runtime_role_may_count_anew_what_it_loaded_in_bulk(runtime: psycopg.Connection) -> None:
    refused: list[str] = []
    runtime.add_notice_handler(lambda notice: refused.append(str(notice.message_primary)))
    runtime.execute("ANALYZE tracking_event")
    assert refused == []
