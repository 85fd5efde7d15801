"""`make setup` says what is missing before it begins."""

import subprocess
import sys
from pathlib import Path

from tests.servers import ROOT

SCRIPT = ROOT / "bin" / "python-for-etalage"


def _run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """With nothing on the PATH but what stands in `folder`."""
    environment = {"PATH": str(folder), **environment}
    return subprocess.run(["/bin/sh", SCRIPT], env=environment, capture_output=True, text=True, check=False)


def _programme(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_no_python(tmp_path: Path) -> None:
    result = _run(tmp_path)
    assert result.returncode == 1
    assert "needs Python 3.11, 3.12 or 3.13; found" in result.stderr


def test_wrong_python(tmp_path: Path) -> None:
    _programme(tmp_path / "python3", 'case $1 in --version) echo "Python 3.9.2";; *) exit 1;; esac')
    result = _run(tmp_path)
    assert result.returncode == 1
    assert "found Python 3.9.2" in result.stderr
    assert "PYTHON=/path/to/python3.12" in result.stderr


def test_no_compiler(tmp_path: Path) -> None:
    result = _run(tmp_path, PYTHON=sys.executable)
    assert result.returncode == 1
    assert "needs a C compiler" in result.stderr
    assert "apt-get install build-essential" in result.stderr


def test_all_there(tmp_path: Path) -> None:
    _programme(tmp_path / "cc", "exit 0")
    result = _run(tmp_path, PYTHON=sys.executable)
    assert (result.returncode, result.stdout.strip()) == (0, sys.executable)


def test_requirements_are_pinned() -> None:
    """The same versions today and next year; only what is imported from other files may stand unpinned."""
    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
        assert [line for line in lines if line and "==" not in line and not line.startswith("-r ")] == [], (
            name
        )
