"""Setup of a fresh checkout with only Python and pip; here with small packages of our own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import bootstrap
from tests.support.tiers import patience

PROGRAM = """
import json, sys
import bootstrap
bootstrap.ensure("requirements/{lock}.lock")
import demo
print(json.dumps(dict(demo=demo.VERSION, argv=sys.argv[1:], prefix=sys.prefix)))
"""
UNREACHABLE_INDEX = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0"}
TIMEOUT = patience(120)  # seconds
ROOT = Path(bootstrap.__file__).parent


@dataclass(frozen=True)
class Checkout:
    """A small project that uses bootstrap.py."""

    folder: Path
    wheels: Path

    def start(self, *arguments: str, python: str = sys.executable, **env: str) -> subprocess.Popen[str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "HOLDFAST_"))}
        index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}
        return subprocess.Popen(
            [python, *arguments],
            cwd=self.folder,
            env=inherited | {"PIP_CONFIG_FILE": os.devnull} | (env or index),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, python: str = sys.executable, **env: str) -> Outcome:
        return Outcome.of(self.start(*arguments, python=python, **env))

    def lock(self, name: str, **versions: str) -> None:
        """Writes a lock file, and the wheels that it names."""
        lines = []
        for package, version in versions.items():
            wheel = self.wheels / f"{package}-{version}-py3-none-any.whl"
            if not wheel.exists():
                write_wheel(wheel, package, version)
            lines.append(f"{package}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}")
        (self.folder / "requirements" / f"{name}.lock").write_text("\n".join(lines))

    def stamps(self) -> list[str]:
        return sorted(stamp.name for stamp in (self.folder / ".venv").glob(".holdfast-*"))


@dataclass(frozen=True)
class Outcome:
    """How a program ended."""

    code: int
    output: str
    errors: str

    @classmethod
    def of(cls, process: subprocess.Popen[str]) -> Outcome:
        output, errors = process.communicate(timeout=TIMEOUT)
        return cls(process.returncode, output, errors)

    @property
    def said(self) -> dict[str, object]:
        assert self.code == 0, self.errors
        said: dict[str, object] = json.loads(self.output)
        return said


def write_wheel(path: Path, package: str, version: str) -> None:
    info = f"{package}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{package}.py", f"VERSION = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


def make_checkout(folder: Path) -> Checkout:
    checkout = Checkout(folder / "checkout", folder / "wheels")
    (checkout.folder / "requirements").mkdir(parents=True)
    (checkout.folder / "package").mkdir()
    checkout.wheels.mkdir()
    shutil.copy(bootstrap.__file__, checkout.folder)
    (checkout.folder / "program.py").write_text(PROGRAM.format(lock="runtime"))
    (checkout.folder / "package" / "__main__.py").write_text(PROGRAM.format(lock="dev"))
    checkout.lock("runtime", demo="1.0")
    checkout.lock("dev", demo="1.0", extra="1.0")
    return checkout


@pytest.fixture(scope="module")
def first_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, list[Outcome]]:
    """A fresh checkout whose program was started twice at the same time."""
    checkout = make_checkout(tmp_path_factory.mktemp("bootstrap"))
    both = [checkout.start("program.py", "--option", str(number)) for number in range(2)]
    return checkout, [Outcome.of(process) for process in both]


@pytest.fixture
def checkout(first_runs: tuple[Checkout, list[Outcome]]) -> Checkout:
    """A checkout that has been set up for running."""
    checkout, _ = first_runs
    checkout.lock("runtime", demo="1.0")
    assert checkout.run("program.py").said["demo"] == "1.0"
    return checkout


def test_a_fresh_checkout_runs(first_runs: tuple[Checkout, list[Outcome]]) -> None:
    """The first command on a fresh machine sets up the environment; two at once share one."""
    checkout, outcomes = first_runs
    for number, outcome in enumerate(outcomes):
        expected = {"demo": "1.0", "argv": ["--option", str(number)], "prefix": str(checkout.folder / ".venv")}
        assert outcome.said == expected
        assert "once and takes about a minute" in outcome.errors
        assert "ready after" in outcome.errors


def test_later_runs_are_silent_and_fast(checkout: Checkout) -> None:
    """Later commands print nothing and take no noticeable time for the check."""
    outcome = checkout.run("program.py")
    assert outcome.said["demo"] == "1.0"
    assert outcome.errors == ""
    loaded = "import sys, bootstrap; bootstrap.ensure('requirements/runtime.lock'); print(*sys.modules)"
    modules = set(checkout.run("-c", loaded, python=".venv/bin/python").output.split())
    assert "bootstrap" in modules
    assert modules.isdisjoint({"subprocess", "importlib.metadata", "fcntl"})  # the slow ones, for setting up alone


def test_a_module_is_started_again_as_a_module(checkout: Checkout) -> None:
    """`python -m tests` keeps its `-m` and its arguments; the lock with more packages, which may need one under further
    conditions, stands for both.
    """
    testing = checkout.folder / "requirements" / "dev.lock"
    testing.write_text(testing.read_text().replace("demo==1.0 ", "demo==1.0 ; python_version < '4' "))
    outcome = checkout.run("-m", "package", "-k", "one")
    assert outcome.said["argv"] == ["-k", "one"]
    assert checkout.stamps() == [".holdfast-dev", ".holdfast-runtime"]
    assert checkout.run("program.py").errors == ""


def test_a_changed_lock_is_installed(checkout: Checkout) -> None:
    """A changed lock is installed."""
    checkout.lock("runtime", demo="2.0")
    assert checkout.run("program.py", python=".venv/bin/python").said["demo"] == "2.0"


def test_a_failed_installation_is_explained_and_repaired(checkout: Checkout) -> None:
    """A failed installation is explained in words, and the next command repairs it."""
    checkout.lock("runtime", demo="3.0")
    failed = checkout.run("program.py", **UNREACHABLE_INDEX)
    assert failed.code == 1
    assert f"bootstrap: pip could not install {checkout.folder}/requirements/runtime.lock" in failed.errors
    assert "demo==3.0" in failed.errors  # pip's own words
    assert "Traceback" not in failed.errors
    assert checkout.stamps() == []
    assert checkout.run("program.py").said["demo"] == "3.0"


def test_a_wrong_hash_is_refused(checkout: Checkout) -> None:
    """A package with another hash is refused."""
    lock = checkout.folder / "requirements" / "runtime.lock"
    lock.write_text(f"demo==1.0 --hash=sha256:{'0' * 64}")
    (checkout.folder / ".venv" / ".holdfast-runtime").unlink()
    (next((checkout.folder / ".venv").glob("lib/*/site-packages/demo-*.dist-info")) / "METADATA").unlink()
    refused = checkout.run("program.py")
    assert refused.code == 1
    assert "hash" in refused.errors.lower()


def test_an_interrupted_installation_is_made_anew(checkout: Checkout) -> None:
    """An interrupted installation is repeated in full."""
    environment = checkout.folder / ".venv"
    checkout.lock("runtime", demo="4.0")
    process = checkout.start("program.py")
    while not (environment / ".installing").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    checkout.lock("runtime", demo="1.0")
    next(environment.glob("lib/*/site-packages/demo.py")).unlink()  # its metadata still says that it is there
    assert checkout.run("program.py", python=".venv/bin/python").said["demo"] == "1.0"
    assert not (environment / ".installing").exists()


def test_an_environment_that_fits_is_taken_as_it_is(checkout: Checkout) -> None:
    """An active environment with the right packages is used."""
    (checkout.folder / ".venv" / ".holdfast-runtime").unlink()
    outcome = checkout.run("program.py", python=".venv/bin/python")
    assert outcome.said["demo"] == "1.0"
    assert outcome.errors == ""
    assert ".holdfast-runtime" in checkout.stamps()


def test_images_opt_out(tmp_path: Path) -> None:
    """HOLDFAST_NO_BOOTSTRAP turns the setup off."""
    checkout = make_checkout(tmp_path)
    outcome = checkout.run("program.py", HOLDFAST_NO_BOOTSTRAP="1")
    assert "No module named 'demo'" in outcome.errors  # the program went on with what there was
    assert not (checkout.folder / ".venv").exists()


def test_an_old_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unsupported Python is refused with the version that is needed."""
    monkeypatch.setattr(sys, "version_info", (3, 10, 12))
    began = time.monotonic()
    with pytest.raises(SystemExit, match=r"Python 3\.11 or newer is needed"):
        bootstrap.ensure("requirements/runtime.lock")
    assert time.monotonic() - began < 1


def test_the_locks_agree() -> None:
    """The packages for tests include those for running, so that no command in a test sets up the environment again; and
    they include those of the image, which has all extras.
    """
    running, testing, image = (
        dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE))
        for name in ("runtime.lock", "dev.lock", "image.lock")
    )
    assert running.items() <= image.items() <= testing.items()
