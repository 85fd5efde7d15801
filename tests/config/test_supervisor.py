"""The supervisor: whatever ends it, it leaves no process behind."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.servers import ROOT

# A server that has a child of its own and ignores being asked, a server that is polite, and a command in between.
PROGRAM = """
import sys
from pathlib import Path
from config.supervisor import ChildFailed, Interrupted, Server, Supervisor

folder = Path(sys.argv[1])
sleeper = "import time; time.sleep(600)"
stubborn = (
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    f"subprocess.Popen([sys.executable, '-c', '{sleeper}']); time.sleep(600)"
)
supervisor = Supervisor({})
supervisor.listen()
import config.supervisor
config.supervisor.GRACE_SECONDS = 1.0
try:
    for name, code in (("stubborn", stubborn), ("polite", sleeper)):
        supervisor.serve(Server(name, [sys.executable, "-c", code], folder / f"{name}.log"))
    print("serving", flush=True)
    if sys.argv[2] == "command":
        supervisor.run([sys.executable, "-c", sleeper], name="a long command")
    supervisor.watch()
except Interrupted:
    print("interrupted", flush=True)
except ChildFailed as error:
    print(error, flush=True)
finally:
    supervisor.shut_down()
"""


def _start(folder: Path, mode: str, **environment: str) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), mode],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "serving\n"
    expected = 4 if mode == "command" else 3  # stubborn, its child, polite, the command
    family = psutil.Process(process.pid)
    while len(children := family.children(recursive=True)) < expected:
        assert process.poll() is None
    return process, children


def _all_gone(children: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(children, timeout=20)[1]


@pytest.mark.parametrize(
    ("mode", "number"),
    [
        ("command", signal.SIGTERM),
        ("serve", signal.SIGTERM),
        ("serve", signal.SIGINT),
        ("serve", signal.SIGHUP),
    ],
)
def test_asked_to_end_it_ends_everything(tmp_path: Path, mode: str, number: signal.Signals) -> None:
    process, children = _start(tmp_path, mode)
    process.send_signal(number)
    assert process.communicate(timeout=30)[0] == "interrupted\n"
    assert process.returncode == 0
    assert _all_gone(children)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel ends orphans on Linux only")
def test_killed_it_takes_its_children_along(tmp_path: Path) -> None:
    process, children = _start(tmp_path, "command")
    stubborn = [child for child in children if "SIG_IGN" in " ".join(child.cmdline())]
    polite = [child for child in children if child not in stubborn and child.ppid() == process.pid]
    process.kill()
    process.communicate()
    assert _all_gone(polite)
    for survivor in [*stubborn, *(child for child in children if child.is_running())]:
        with contextlib.suppress(psutil.NoSuchProcess):  # gone in the meantime
            survivor.kill()  # it was asked, and had said that it would not listen


def test_started_by_make_it_ends_when_make_is_gone(tmp_path: Path) -> None:
    """`kill -9` of make reaches nobody else."""
    as_make = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    make = subprocess.Popen(
        [sys.executable, "-c", as_make, sys.executable, "-c", PROGRAM, str(tmp_path), "serve"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "MAKELEVEL": "1"},
    )  # fmt: skip
    assert make.stdout is not None
    assert make.stdout.readline() == "serving\n"
    children = psutil.Process(make.pid).children(recursive=True)
    make.kill()
    assert make.communicate(timeout=30)[0] == "interrupted\n"
    assert _all_gone(children)


def test_server_that_dies_is_started_again_and_given_up_when_it_will_not_stay(tmp_path: Path) -> None:
    process, children = _start(tmp_path, "serve")
    polite = [
        child for child in children if child.ppid() == process.pid and "SIG_IGN" not in str(child.cmdline())
    ]
    polite[0].kill()
    supervisor = psutil.Process(process.pid)
    for _ in range(3):
        while not (
            again := [
                c for c in supervisor.children() if "SIG_IGN" not in str(_command_line(c)) and c not in polite
            ]
        ):
            assert process.poll() is None
        polite += again
        again[0].kill()
    output = process.communicate(timeout=30)[0]
    assert "polite ended 4 times within a minute" in output
    assert _all_gone(children)


def _command_line(process: psutil.Process) -> list[str]:
    """ "SIG_IGN" stands for a child that is between fork and exec, or already gone: not one to kill."""
    try:
        line = process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ["SIG_IGN"]
    return line if "time.sleep(600)" in " ".join(line) and "Supervisor" not in " ".join(line) else ["SIG_IGN"]
