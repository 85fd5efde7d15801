"""Child processes that do not outlive their parent, free ports, and the account that PostgreSQL runs as."""

import ctypes
import multiprocessing
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

ACCOUNT_NAME = "etalage"
_PR_SET_PDEATHSIG = 1


class ServiceError(Exception):
    """A server that could not be started, reached or stopped; the message says what to do about it."""


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on `port` of `host` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def end_with_parent(signal_number: int = signal.SIGTERM) -> Callable[[], None] | None:
    """A `preexec_fn` after which the child is signalled when its parent dies, however it dies; None where
    there is no such thing.

    Linux only (prctl(2), PR_SET_PDEATHSIG): elsewhere a parent that is killed with SIGKILL leaves its
    children behind.
    """
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def ask_the_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent:  # it died between fork and prctl
            os._exit(1)

    return ask_the_kernel


def end_with_main_process() -> None:
    """Have the kernel end this worker process (of `multiprocessing`) when the process that made it dies, however it
    dies.

    A worker without its main process would go on serving, beside the server that is started in its place, and
    nobody could tell it to stop. Nothing is done where this process is no worker, or off Linux.
    """
    main = multiprocessing.parent_process()
    if main is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != main.pid:  # it died before that
        os._exit(1)


def unprivileged_account() -> pwd.struct_passwd | None:
    """The account that PostgreSQL runs as when we are root (it refuses to be root), made when missing;
    None when we are not root.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(ACCOUNT_NAME)
    except KeyError:
        return _make_account()


def _make_account() -> pwd.struct_passwd:
    useradd = shutil.which("useradd")
    if useradd:
        command = [
            useradd,
            "--system",
            "--no-create-home",
            "--home-dir",
            "/nonexistent",
            "--shell",
            "/bin/false",
            ACCOUNT_NAME,
        ]
        subprocess.run(command, check=False, capture_output=True)
    for name in (ACCOUNT_NAME, "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServiceError(
        f"PostgreSQL refuses to run as root, and the account {ACCOUNT_NAME!r} could not be made: run as another user."
    )


def run_as(
    account: pwd.struct_passwd | None,
    command: Sequence[str | Path],
    *,
    log: IO[bytes] | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run `command` to its end as `account` (None: as ourselves). Raises ServiceError with its output when
    it fails and `check`.
    """
    result = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        # A server that the command leaves behind would keep a pipe open for ever, so daemons are given a
        # file.
        stdout=log or subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd="/",
        # Ctrl-C in the terminal is for us to handle: it must not interrupt a server halfway through its
        # start.
        start_new_session=True,
        **identity(account),
    )
    if check and result.returncode:
        output = (result.stdout or "").strip()
        raise ServiceError(
            f"{Path(command[0]).name} failed with status {result.returncode}: {output or 'see its log'}"
        )
    return result


def can_run(account: pwd.struct_passwd, command: Sequence[str | Path]) -> bool:
    """Whether `account` can reach the programme, and the programme then succeeds."""
    try:
        return run_as(account, command, check=False).returncode == 0
    except OSError:
        return False


def identity(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """The arguments of `subprocess` that make a child run as `account`."""
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def give_to(account: pwd.struct_passwd | None, *folders: Path) -> None:
    """Make `account` the owner of each folder and of all in it."""
    if account is None:
        return
    for folder in folders:
        os.chown(folder, account.pw_uid, account.pw_gid)
        for root, directories, files in os.walk(folder):
            for name in directories + files:
                os.chown(Path(root, name), account.pw_uid, account.pw_gid, follow_symlinks=False)
