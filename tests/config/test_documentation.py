"""Every setting and every command can be looked up."""

import re
import subprocess
import sys

import pytest

from tests.servers import ROOT

DOCUMENTED = set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE))
# Standard variables of libraries, which the settings do not read but operations explains.
OF_LIBRARIES = {"OPENBLAS_NUM_THREADS", "PROMETHEUS_MULTIPROC_DIR"}
COMMANDS = sorted(
    path.stem
    for app in ("accounts", "catalog", "consent", "profiles", "tracking", "segments", "recommendations", "storefront", "config")
    for path in (ROOT / app / "management" / "commands").glob("[a-z]*.py")
    if path.stem != "migrate"
)  # fmt: skip


def _read_by_the_code() -> set[str]:
    names = set()
    for path in [ROOT / "config" / "settings.py", *(ROOT / "config").rglob("*.py")]:
        text = path.read_text()
        names |= set(re.findall(r"""\benv\.\w+\(\s*["']([A-Z_]+)["']""", text))
        names |= set(re.findall(r"""os\.environ(?:\.get\(|\[)["']([A-Z_]+)["']""", text))
    return names - {"DJANGO_SETTINGS_MODULE", "MAKELEVEL"}


def test_every_environment_variable_is_documented() -> None:
    assert _read_by_the_code() - DOCUMENTED == set()


def test_nothing_is_documented_that_is_not_read() -> None:
    assert DOCUMENTED - OF_LIBRARIES - _read_by_the_code() == set()


def test_the_search_finds_settings() -> None:
    """Guards the two tests above: an expression that finds nothing would let both pass."""
    assert {"SECRET_KEY", "DATABASE_URL", "PORT", "LOG_FORMAT"} <= _read_by_the_code()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example(command: str) -> None:
    from django.core.management import get_commands, load_command_class

    parser = load_command_class(get_commands()[command], command).create_parser("manage.py", command)
    assert f"manage.py {command}" in parser.format_help().partition("usage:")[2].partition("\n")[2]


def test_no_module_but_the_settings_reads_the_environment_for_its_own_use() -> None:
    """The embedded servers and the demo have to know whether the operator named a server; nobody else has to."""
    allowed = {
        "settings.py",
        "services.py",
        "demo.py",
        "supervisor.py",
        "owner.py",
        "celery.py",
        "wsgi.py",
        "restoring.py",
    }
    readers = {
        path.name
        for app in (
            "accounts",
            "catalog",
            "consent",
            "profiles",
            "tracking",
            "segments",
            "recommendations",
            "config",
        )
        for path in (ROOT / app).rglob("*.py")
        if re.search(r"\bos\.(environ|getenv)\b", path.read_text())
    }
    assert readers <= allowed


def test_production_settings_raise_no_warning() -> None:
    """`check --deploy` as an operator would have it: secrets, HTTPS and two roles given."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "HTTPS": "1",
        "SECRET_KEY": "x7" * 40 + "abcdefghij",
        "ETALAGE_MASTER_KEY": "m" * 40,
        "ETALAGE_SUPPRESSION_KEY": "s" * 40,
        "ALLOWED_HOSTS": "shop.example",
        "DATABASE_URL": "postgres://etalage_app:x@127.0.0.1:1/etalage",
        "DATABASE_OWNER_URL": "postgres://etalage_owner:x@127.0.0.1:1/etalage",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "ETALAGE_DATA_DIR": "/nonexistent",
    }
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    without_keys = {name: value for name, value in environment.items() if name != "ETALAGE_MASTER_KEY"}
    refused = subprocess.run(command, cwd=ROOT, env=without_keys, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "ETALAGE_MASTER_KEY is not set" in refused.stderr
