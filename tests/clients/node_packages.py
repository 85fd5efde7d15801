"""Packages from npm, run by a real Node with the scripts under `tests/clients/node`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "node"
PACKAGES = FOLDER / "node_modules"
TIMEOUT_SECONDS = 90


def require_packages() -> None:
    """Fails where `make test` has not brought the packages: a test that is left out proves nothing."""
    if not (PACKAGES / ".installed").exists():
        pytest.fail("The npm packages are missing: run `make setup-clients`.")


def node_path() -> str:
    """`NODE_BINARY`, else `node` of the PATH. Fails without one."""
    found = os.environ.get("NODE_BINARY") or shutil.which("node") or shutil.which("nodejs")
    if not found:
        pytest.fail(
            "The clients' tests need Node.js 18 or newer: run `bin/ensure-node`, or name it in NODE_BINARY."
        )
    return found


def run_script(name: str, *, clock_ahead_seconds: float = 0, **payload: Any) -> Any:
    """The JSON that a script prints, given the payload as JSON."""
    require_packages()
    done = subprocess.run(
        [node_path(), "--require", "./clock.cjs", name],
        cwd=FOLDER,
        input=json.dumps(payload),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
        # Whoever runs the tests behind a proxy: these packages talk to this machine alone.
        env={
            **os.environ,
            "NO_PROXY": "*",
            "no_proxy": "*",
            "CLOCK_AHEAD_SECONDS": str(clock_ahead_seconds),
        },
    )
    assert done.returncode == 0, f"{name} failed: {done.stderr}"
    return json.loads(done.stdout)
