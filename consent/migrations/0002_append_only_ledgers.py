"""Make the ledgers append-only: for everybody by triggers, for the runtime role by its rights as well.

TRUNCATE is refused to the runtime role by its rights alone. Of a payload only the link to the customer may change (it is
emptied when the customer goes, and is not part of the commitment); deleting a payload is how it is erased.
"""

from django.db import migrations

RUNTIME_ROLE = "etalage_app"
LINKS = ("consent_consentrecord", "consent_auditentry")
PAYLOADS = {"consent_consentpayload": ("customer_id",), "consent_auditpayload": ()}

FUNCTION = """
CREATE FUNCTION consent_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$
"""


def _triggers():
    for table in LINKS:
        yield (
            table,
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION consent_refuse_change()",
        )
    for table, mutable in PAYLOADS.items():
        # Compared as rows without their mutable columns, so that a column added later is protected too.
        kept = " - ".join(["to_jsonb({row})", *(f"'{column}'" for column in mutable)])
        changed = f"({kept.format(row='OLD')}) IS DISTINCT FROM ({kept.format(row='NEW')})"
        yield (
            table,
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE ON {table} FOR EACH ROW "
            f"WHEN ({changed}) EXECUTE FUNCTION consent_refuse_change()",
        )


def _rights(statements):
    """Run where the role exists: an installation may run everything as one role."""
    body = " ".join(f"{statement};" for statement in statements)
    return f"DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{RUNTIME_ROLE}') THEN {body} END IF; END $$"


def _payload_rights(verb, preposition):
    return [f"{verb} UPDATE (customer_id) ON consent_consentpayload {preposition} {RUNTIME_ROLE}"]


REVOKE = [
    *(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM {RUNTIME_ROLE}" for table in LINKS),
    *(f"REVOKE UPDATE, TRUNCATE ON {table} FROM {RUNTIME_ROLE}" for table in PAYLOADS),
    *_payload_rights("GRANT", "TO"),
]
RESTORE = [
    *_payload_rights("REVOKE", "FROM"),
    *(f"GRANT UPDATE, DELETE, TRUNCATE ON {table} TO {RUNTIME_ROLE}" for table in (*LINKS, *PAYLOADS)),
]


class Migration(migrations.Migration):
    dependencies = [("consent", "0001_initial")]

    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION consent_refuse_change()"),
        *(
            migrations.RunSQL(create, f"DROP TRIGGER {table}_append_only ON {table}")
            for table, create in _triggers()
        ),
        migrations.RunSQL(_rights(REVOKE), _rights(RESTORE)),
    ]
