"""Backup and restore, with PostgreSQL's own programmes against the test database."""

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts import vault
from accounts.models import Customer, Store, Visitor
from accounts.selectors.identity import subject_of
from accounts.services.identity import identity_link
from accounts.services.visitors import visitor_get_or_create
from consent.gate import allowed_purposes
from consent.models import Suppression
from consent.pseudonyms import IdentifierKind, pseudonyms
from consent.purposes import Purpose
from consent.services.request_processing import process_now
from consent.services.requests import request_open
from tests.factories import CustomerFactory, StoreFactory
from tests.servers import SERVERS, database_name

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def installation(tmp_path: Path, settings: Any) -> Path:
    """Folders of this test's own: data, models, media, anchors."""
    settings.DATA_DIR = tmp_path / "data"
    for name in ("MODEL", "MEDIA", "ANCHOR"):
        folder = settings.DATA_DIR / name.lower()
        folder.mkdir(parents=True)
        setattr(settings, f"ETALAGE_{name}_DIR", folder)
    (settings.ETALAGE_MODEL_DIR / "1").mkdir()
    (settings.ETALAGE_MODEL_DIR / "1" / "item_factors.npy").write_bytes(b"\x93NUMPY")
    return tmp_path


def _restore(path: Path, **options: Any) -> None:
    call_command("restore", path, asks=False, disconnect_others=True, **options)


def _customer(email: str = "ann@shop.example") -> Customer:
    customer = CustomerFactory(external_id=f"id-of-{email}")
    vault.put(customer, "email", email)
    return customer


def test_everything_comes_back(installation: Path, settings: Any, valkey: redis.Redis) -> None:
    customer = _customer()
    call_command("backup", installation / "backup")
    Store.objects.update(name="Renamed since")
    added = StoreFactory(slug="added-since")
    shutil.rmtree(settings.ETALAGE_MODEL_DIR)
    valkey.set("etalage:1:profile:x", "newer than the backup")
    valkey.set("of-somebody-else", "stays")

    _restore(installation / "backup")

    assert not Store.objects.filter(slug=added.slug).exists()
    assert not Store.objects.filter(name="Renamed since").exists()
    restored = Customer.all_stores.get(pk=customer.pk)
    assert vault.get(restored, "email") == "ann@shop.example"
    assert (settings.ETALAGE_MODEL_DIR / "1" / "item_factors.npy").read_bytes() == b"\x93NUMPY"
    assert valkey.get("etalage:1:profile:x") is None
    assert valkey.get("of-somebody-else") == b"stays"
    with SERVERS.postgres.connect(SERVERS.postgres_port) as connection:
        names = connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{database_name()}%"]
        )
        assert names.fetchall() == [(database_name(),)], "nothing half-made or former stays behind"


def test_ledgers_stay_append_only_for_the_runtime_role(installation: Path) -> None:
    call_command("backup", installation / "backup")
    _restore(installation / "backup")
    with SERVERS.postgres.connect(SERVERS.postgres_port, database_name()) as connection:
        rights = connection.execute(
            "SELECT has_table_privilege('etalage_app', 'consent_auditentry', p) FROM unnest(%s::text[]) p",
            [["INSERT", "SELECT", "UPDATE", "DELETE"]],
        ).fetchall()
    assert rights == [(True,), (True,), (False,), (False,)]


def test_who_was_erased_since_is_erased_again(installation: Path) -> None:
    ann, bob = _customer("ann@shop.example"), _customer("bob@shop.example")
    call_command("backup", installation / "backup")
    (digest, *_) = pseudonyms(ann.store_id, IdentifierKind.EMAIL, "ann@shop.example")
    Suppression.objects.for_store(ann.store).create(
        store=ann.store, kind="email", digest=digest, suppressed_until=timezone.now() + timedelta(seconds=1)
    )
    _restore(installation / "backup")
    assert not Customer.all_stores.filter(pk=ann.pk).exists()
    assert Customer.all_stores.filter(pk=bob.pk).exists()
    assert Suppression.all_stores.filter(digest=digest).exists()


def test_who_was_erased_since_is_erased_again_though_the_database_was_lost(
    installation: Path, settings: Any
) -> None:
    """All that is left is the folder of a later backup, whose list of erasures holds too."""
    ann = _customer("ann@shop.example")
    call_command("backup", installation / "early")
    (digest, *_) = pseudonyms(ann.store_id, IdentifierKind.EMAIL, "ann@shop.example")
    Suppression.objects.for_store(ann.store).create(
        store=ann.store, kind="email", digest=digest, suppressed_until=timezone.now() + timedelta(seconds=1)
    )
    call_command("backup", installation / "late")
    Suppression.all_stores.all().delete()
    shutil.rmtree(settings.ETALAGE_ANCHOR_DIR)
    _restore(installation / "early", suppressions=installation / "late")
    assert not Customer.all_stores.filter(pk=ann.pk).exists()


def test_an_erasure_outlives_the_rotation_of_its_key_and_a_real_dump_from_before_it(
    installation: Path, settings: Any
) -> None:
    """The whole way: a dump, an erasure asked for by the person, a new key, the dump restored, and nobody is back."""
    settings.ETALAGE_SUPPRESSION_KEY = "1:old secret"
    ann, bob = _customer("ann@shop.example"), _customer("bob@shop.example")
    visitor = visitor_get_or_create(store=ann.store, anonymous_id="ann-phone")
    identity_link(store=ann.store, visitor=visitor, customer=ann)
    call_command("backup", installation / "backup")
    process_now(request_open(subject=subject_of(ann), kind="erasure", source="account"))
    assert not Customer.all_stores.filter(pk=ann.pk).exists()
    settings.ETALAGE_SUPPRESSION_KEY = "2:new secret,1:old secret"
    _restore(installation / "backup")
    assert list(Customer.all_stores.all()) == [bob]
    assert not Visitor.all_stores.filter(anonymous_id="ann-phone").exists()
    assert vault.find_by_email(ann.store, "ann@shop.example") == []
    before_the_erasure = timezone.now() - timedelta(days=1)
    assert allowed_purposes(ann.store, anonymous_id="ann-phone", at=before_the_erasure) == Purpose(0)


def test_without_the_old_key_nobody_would_be_found_again(installation: Path, settings: Any) -> None:
    """Else the test above proves nothing: it is the old key, kept after the new one, that finds them."""
    settings.ETALAGE_SUPPRESSION_KEY = "1:old secret"
    ann = _customer("ann@shop.example")
    call_command("backup", installation / "backup")
    process_now(request_open(subject=subject_of(ann), kind="erasure", source="account"))
    settings.ETALAGE_SUPPRESSION_KEY = "2:new secret"
    _restore(installation / "backup")
    assert Customer.all_stores.filter(pk=ann.pk).exists()


def test_secrets_are_kept_apart(installation: Path, settings: Any) -> None:
    _customer()
    keys = installation / "elsewhere" / "keys.json"
    call_command("backup", installation / "backup", keys=keys)
    assert keys.stat().st_mode & 0o777 == 0o600
    assert json.loads(keys.read_text())["ETALAGE_MASTER_KEY"] == settings.ETALAGE_MASTER_KEY
    for path in (installation / "backup").rglob("*"):
        if path.is_file():
            assert settings.ETALAGE_MASTER_KEY.encode() not in path.read_bytes()
    with pytest.raises(CommandError, match="somewhere else"):
        call_command("backup", installation / "other", keys=installation / "other" / "keys.json")
    assert not (installation / "other").exists()


def test_secrets_of_a_lost_machine_open_the_vault_again(
    installation: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = _customer()
    keys = installation / "keys.json"
    call_command("backup", installation / "backup", keys=keys)
    monkeypatch.delenv("ETALAGE_MASTER_KEY")
    settings.ETALAGE_MASTER_KEY = "the-new-machines-own-key-" + "y" * 32
    with pytest.raises(vault.VaultSealed):
        vault.get(customer, "email")
    _restore(installation / "backup", keys=keys)
    assert vault.get(Customer.all_stores.get(pk=customer.pk), "email") == "ann@shop.example"
    stored = json.loads((settings.DATA_DIR / "secrets.json").read_text())
    assert stored["ETALAGE_MASTER_KEY"] == json.loads(keys.read_text())["ETALAGE_MASTER_KEY"]


def _spoil_a_byte(backup: Path) -> None:
    file = next(path for path in sorted((backup / "database").iterdir()) if path.suffix == ".gz")
    content = bytearray(file.read_bytes())
    content[-1] ^= 0xFF
    file.write_bytes(content)


def _take_a_file_away(backup: Path) -> None:
    (backup / "models" / "1" / "item_factors.npy").unlink()


def _slip_a_file_in(backup: Path) -> None:
    (backup / "models" / "1" / "extra.npy").write_bytes(b"")


def _come_from_the_future(backup: Path) -> None:
    manifest = json.loads((backup / "manifest.json").read_text())
    manifest["migrations"].append("catalog.0999_holograms")
    (backup / "manifest.json").write_text(json.dumps(manifest))


def _lose_the_manifest(backup: Path) -> None:
    (backup / "manifest.json").unlink()


@pytest.mark.parametrize(
    "spoil, complaint",
    [
        (_spoil_a_byte, "damaged; 1 files differ"),
        (_take_a_file_away, "damaged; 1 files differ"),
        (_slip_a_file_in, "damaged; 1 files differ"),
        (_come_from_the_future, "newer release.*catalog.0999_holograms"),
        (_lose_the_manifest, "is not a backup of Etalage"),
    ],
)
def test_a_backup_that_cannot_be_trusted_changes_nothing(
    installation: Path, spoil: Any, complaint: str
) -> None:
    StoreFactory(slug="before")
    call_command("backup", installation / "backup")
    spoil(installation / "backup")
    StoreFactory(slug="since")
    with pytest.raises(CommandError, match=complaint):
        _restore(installation / "backup")
    assert set(Store.objects.values_list("slug", flat=True)) == {"before", "since"}


def test_a_shop_that_is_open_is_not_replaced_under_its_feet(installation: Path) -> None:
    call_command("backup", installation / "backup")
    StoreFactory(slug="since")
    with psycopg.connect(
        SERVERS.database_url(database_name()).replace("postgres://", "postgresql://")
    ) as visitor:
        with pytest.raises(CommandError, match="Stop web, worker and beat first"):
            call_command("restore", installation / "backup", asks=False)
        assert visitor.execute("SELECT count(*) FROM accounts_store").fetchone() == (1,)
    assert Store.objects.get().slug == "since"


def test_a_dump_that_cannot_be_read_leaves_the_database_as_it_was(installation: Path) -> None:
    """Whole by its manifest, and still of no use: the exchange comes last."""
    call_command("backup", installation / "backup")
    StoreFactory(slug="since")
    contents = installation / "backup" / "database" / "toc.dat"
    contents.write_bytes(b"nonsense")
    manifest = json.loads((installation / "backup" / "manifest.json").read_text())
    import hashlib

    manifest["files"]["database/toc.dat"] = hashlib.sha256(b"nonsense").hexdigest()
    (installation / "backup" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CommandError, match="pg_restore failed"):
        _restore(installation / "backup")
    assert Store.objects.get().slug == "since"


def test_a_folder_is_used_for_one_backup(installation: Path) -> None:
    call_command("backup", installation / "backup")
    with pytest.raises(CommandError, match="exists already"):
        call_command("backup", installation / "backup")
