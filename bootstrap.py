"""Bootstrap of a checkout: creates `.venv` beside this file, so that Python is the only prerequisite."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
OPT_OUT = "HOLDFAST_NO_BOOTSTRAP"  # "1": the requirements are installed already, as in a container image
REENTERED = "HOLDFAST_BOOTSTRAPPED"  # set when the program is restarted, so that it is restarted only once
PIN = re.compile(r"^([\w.-]+)(?:\[.*\])?==([^\s;]+) *(;.*)?", re.MULTILINE)  # name, version, for which systems
MARKER = ".installing"  # exists during an installation and after an interrupted one, which is then repeated
NO_VENV = "the virtual environment could not be created; on Debian and Ubuntu: apt install python3-venv"


def ensure(lock: str) -> None:
    """Returns if this interpreter has the locked packages; else sets up `.venv` and restarts the program in it."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this is where users of older versions learn it
        sys.exit(f"bootstrap: Python 3.11 or newer is needed; {sys.executable} is {sys.version.split()[0]}.")
    path = ROOT / lock
    if os.environ.get(OPT_OUT) == "1" or _is_stamped(Path(sys.prefix), path) or _is_installed(path):
        os.environ.pop(REENTERED, None)
        _prefer_user_packages()
        return
    if os.environ.get(REENTERED) == "1":
        sys.exit(f"bootstrap: {sys.executable} still lacks what {lock} names. Remove {VENV} and run this again.")
    if not (PYTHON.exists() and _is_stamped(VENV, path)):
        _set_up(path)
    os.environ[REENTERED] = "1"
    os.execv(PYTHON, [str(PYTHON), *sys.orig_argv[1:]])  # noqa: S606 - the same program, in its own environment


def _prefer_user_packages() -> None:
    """Moves this folder to the end of `sys.path`, so that it does not hide a user's own package `workflows`."""
    if sys.path and sys.path[0] == str(ROOT):
        sys.path.append(sys.path.pop(0))


def _stamp(prefix: Path, lock: Path) -> Path:
    """Returns the file in an environment that holds the digest of the installed lock file."""
    return prefix / f".holdfast-{lock.stem}"


def _is_stamped(prefix: Path, lock: Path) -> bool:
    stamp = _stamp(prefix, lock)
    return stamp.is_file() and stamp.read_text() == _digest(lock)


def _is_installed(lock: Path) -> bool:
    """Returns whether this interpreter has each package in its locked version, however it was installed."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - takes 50 ms, and not needed with a stamp

    if Path(sys.prefix, MARKER).exists():
        return False
    for name, pinned, condition in _pins(lock):
        try:
            if version(name) != pinned:
                return False
        except PackageNotFoundError:
            if not condition:
                return False
    if sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK):
        _stamp(Path(sys.prefix), lock).write_text(_digest(lock))
    return True


def _digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def _pins(lock: Path) -> set[tuple[str, str, str]]:
    return set(PIN.findall(lock.read_text()))


def _versions(lock: Path) -> set[tuple[str, str]]:
    """Returns each package with its version; further packages may widen the conditions under which one is needed."""
    return {(name, version) for name, version, _ in _pins(lock)}


def _set_up(lock: Path) -> None:
    import fcntl  # noqa: PLC0415 - not available on every system

    began = time.monotonic()
    _say(f"setting up {VENV} from {lock.relative_to(ROOT)}; this happens once and takes about a minute")
    holder = os.open(ROOT, os.O_RDONLY)  # locking the folder leaves no lock file behind
    fcntl.flock(holder, fcntl.LOCK_EX)
    if not (PYTHON.exists() and _is_stamped(VENV, lock)):  # another process may have installed it meanwhile
        for stamp in VENV.glob(".holdfast-*"):
            stamp.unlink()
        marker = VENV / MARKER
        if marker.exists() or not PYTHON.exists():
            _run(NO_VENV, sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV))
        marker.touch()
        if not any(VENV.glob("lib/*/site-packages/pip")):
            _run(NO_VENV, str(PYTHON), "-m", "ensurepip")
        pip = (str(PYTHON), "-m", "pip", "install", "--require-hashes", "--no-input", "--requirement", str(lock))
        try:
            _run(f"pip could not install {lock}; fix the cause and run this again", *pip, packages=len(_pins(lock)))
        except SystemExit:  # pip has removed what it had installed
            marker.unlink()
            raise
        for other in lock.parent.glob("*.lock"):
            if _versions(other) <= _versions(lock):  # the packages for tests include those for running
                _stamp(VENV, other).write_text(_digest(other))
        marker.unlink()
    os.close(holder)
    _say(f"ready after {time.monotonic() - began:.0f} s")


def _run(reason: str, *command: str, packages: int = 0) -> None:
    """Runs a command and reports the progress of pip; exits with its last lines and `reason` if it fails."""
    from subprocess import PIPE, STDOUT, Popen  # noqa: PLC0415 - slow to import, and only needed here

    output: list[str] = []
    with Popen(command, stdout=PIPE, stderr=STDOUT, text=True) as process:  # noqa: S603 - the commands are ours
        for line in process.stdout or ():
            output.append(line.rstrip())
            fetched = sum(line.startswith("Collecting") for line in output)
            if packages and line.startswith("Collecting") and fetched % 10 == 0:
                _say(f"fetched {fetched} of {packages} packages")
    if process.returncode:
        sys.exit("\n".join([*output[-12:], f"bootstrap: {reason}."]))


def _say(line: str) -> None:
    print(f"bootstrap: {line}", file=sys.stderr, flush=True)
