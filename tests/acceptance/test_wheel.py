"""The package as users install it: a wheel in a separate environment, used from a folder of their own.

Tests cannot rely on a package index. The wheel is therefore installed by pip without its dependencies, and those that
its metadata declares, with theirs in turn, are linked from the environment that runs the tests. Nothing else is visible
in the new environment, so a dependency that is used but not declared fails here.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

import pytest

import holdfast
from holdfast.stack.binary import cache_folder
from holdfast.testing import ModelServer
from tests.support.tiers import patience

ROOT = Path(__file__).parents[2]
TIMEOUT = patience(170)  # seconds for one command; reached only when a test fails
NOT_SHIPPED = {"__pycache__", "reports"}
"""Folders that hold what running the package from a checkout leaves there."""
OWNER = "the user"
AGENTS = """
import activities
import workflows
from holdfast import Agent, tool


@tool(read_only=True)
def owners() -> str:
    return f"{workflows.OWNER}, {activities.OWNER}"


clerk = Agent(name="clerk", system_prompt="You answer.", tools=[owners])
"""
SCRIPT = """
import asyncio

import holdfast


async def main() -> None:
    async with holdfast.connect() as hf:
        result = await hf.run("clerk", "Whose packages are these?")
        print(result.content)


asyncio.run(main())
"""


NOT_THERE = {"PYTHONPATH", "VIRTUAL_ENV", "HOLDFAST_HOME"}
"""Variables of the tests that a user does not have."""


@dataclass(frozen=True)
class Built:
    """What a build of the project produces."""

    wheel: Path
    wheel_of_sdist: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The project, built as a release is."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d"]
    subprocess.run([*build, str(folder)], cwd=ROOT, check=True, capture_output=True)
    [sdist] = folder.glob("*.tar.gz")
    shutil.unpack_archive(sdist, folder, filter="data")
    again = folder / "again"
    source = folder / sdist.name.removesuffix(".tar.gz")
    subprocess.run([*build, str(again), "-t", "wheel"], cwd=source, check=True, capture_output=True)
    return Built(only(folder), only(again))


def only(folder: Path) -> Path:
    """The one wheel in a folder."""
    [wheel] = folder.glob("*.whl")
    return wheel


@dataclass
class Installation:
    """A virtual environment in which the wheel is installed, and a folder in which its user works."""

    environment: Path
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    """Added to the environment of each command."""

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Starts a command as the user's shell would."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str, code: int = 0) -> str:
        """Runs a command to its end and returns what it printed."""
        process = self.start(*command)
        output, _ = process.communicate(timeout=TIMEOUT)
        assert process.returncode == code, f"{command} ended with {process.returncode}:\n{output}"
        return output

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in NOT_THERE}
        return kept | {
            "HOME": str(self.folder / "home"),
            "PATH": f"{self.environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(cache_folder().parents[1]),  # where the Temporal server is
            **self.variables,
        }

    def write(self, files: Mapping[str, str]) -> None:
        """Writes files into the user's folder."""
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)


@pytest.fixture(scope="module")
def environment(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel, its declared dependencies, and pytest."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", "--no-compile", str(built.wheel)], check=True, capture_output=True)
    [packages] = folder.glob("lib/*/site-packages")
    [metadata] = packages.glob("*.dist-info")
    for distribution in closure([*requirements(Distribution.at(metadata)), "pytest"]):
        link(distribution, packages)
    return folder


def requirements(distribution: Distribution) -> list[str]:
    """Names of what a distribution always needs."""
    declared = [requirement for requirement in distribution.requires or [] if "extra ==" not in requirement]
    return [match[0] for requirement in declared if (match := re.match(r"[\w.-]+", requirement))]


def closure(names: list[str]) -> Iterator[Distribution]:
    """The installed distributions of these names, and all that they need."""
    waiting, seen = list(names), set[str]()
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = Distribution.from_name(name)
        except PackageNotFoundError:  # needed on other systems or older Pythons only
            continue
        waiting += requirements(found)
        yield found


def link(distribution: Distribution, packages: Path) -> None:
    """Makes an installed distribution visible in another environment."""
    tops = {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}
    for top in tops:
        place = packages / top
        if not place.exists():
            place.symlink_to(str(distribution.locate_file(top)))


@pytest.fixture
def installation(environment: Path, tmp_path: Path) -> Iterator[Installation]:
    """An empty folder of a user who has installed the wheel; the stack that comes up is stopped."""
    folder = tmp_path / "user"
    folder.mkdir()
    installation = Installation(environment, folder)
    yield installation
    installation.run("holdfast", "down")


@pytest.fixture
def model() -> Iterator[ModelServer]:
    """Has the clerk call its tool and repeat the result."""
    with ModelServer() as server:
        yield server


def with_own_packages(installation: Installation, model: ModelServer) -> None:
    """Gives the user packages named as folders of this project are, a `worker.py`, and an agent that uses them."""
    own = {f"{name}/__init__.py": f"OWNER = {OWNER!r}" for name in ("workflows", "activities")}
    installation.write(
        own
        | {
            "my_agents.py": AGENTS,
            "script.py": SCRIPT,
            "worker.py": "raise SystemExit('this is the worker of the user')",
            ".env": f"HOLDFAST_AGENTS=my_agents\nOPENAI_API_KEY=test\nOPENAI_BASE_URL={model.url}\n",
        }
    )


def expect_call(model: ModelServer) -> None:
    """Queues the replies of one run of the clerk."""
    model.call_tools(("owners", {}))
    model.say("They are mine.")


def assert_own_packages_were_used(model: ModelServer) -> None:
    """The result of the tool, as the model saw it, came from the user's packages."""
    assert model.requests[-1].messages[-1]["content"] == f"{OWNER}, {OWNER}"


def test_the_wheel_holds_the_package_and_nothing_else(built: Built) -> None:
    """The wheel contains each file of `holdfast/`, also those behind its links, and no other top-level name."""
    with zipfile.ZipFile(built.wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        [metadata] = [name for name in archive.namelist() if name.endswith("/METADATA")]
        described = archive.read(metadata).decode()
        links = [info.filename for info in archive.infolist() if (info.external_attr >> 28) == 0o12]
    assert names == package_files()
    assert links == []
    assert {"holdfast/workflows/options.py", "holdfast/activities/model.py", "holdfast/docs/install.md"} <= names
    assert {"holdfast/__init__.pyi", "holdfast/py.typed", "holdfast/stack/temporal/go.sum"} <= names
    assert any(name.endswith(".surql") for name in names)
    assert described.splitlines()[1:3] == ["Name: holdfast-agents", f"Version: {holdfast.__version__}"]


def package_files() -> set[str]:
    """Files of the package in this checkout, links followed."""
    walk = os.walk(ROOT / "holdfast", followlinks=True)
    found = {Path(folder, file).relative_to(ROOT) for folder, _, files in walk for file in files}
    return {path.as_posix() for path in found if not NOT_SHIPPED & set(path.parts) and path.suffix != ".pyc"}


def test_the_sdist_builds_the_same_wheel(built: Built) -> None:
    """Those who build from source get what is released, byte for byte."""
    assert built.wheel_of_sdist.read_bytes() == built.wheel.read_bytes()


@pytest.mark.timeout(300)
def test_it_works_in_an_empty_folder(installation: Installation) -> None:
    """After `pip install` every command works: no checkout, no configuration, no file in the folder."""
    assert installation.run("holdfast", "--version") == f"holdfast {holdfast.__version__}\n"
    assert installation.run("python", "-m", "holdfast", "--version") == f"holdfast {holdfast.__version__}\n"
    answer = installation.run("holdfast", "run", "researcher", "What is promised?")
    assert "completed in" in answer
    assert "--workspace DIR" in answer
    assert "running" in installation.run("holdfast", "status")
    assert "finished calls that were repeated: none" in installation.run("holdfast", "demo", "crash")
    assert "stopped: model, temporal, worker" in installation.run("holdfast", "down")
    assert {path.name for path in installation.folder.iterdir()} <= {".holdfast", "home"}


@pytest.mark.timeout(300)
def test_packages_of_the_user_do_not_collide(installation: Installation, model: ModelServer) -> None:
    """The user's `workflows`, `activities` and `worker.py` are theirs alone, in the stack and in a script."""
    with_own_packages(installation, model)
    installation.run("holdfast", "up")
    expect_call(model)
    assert "They are mine." in installation.run("python", "script.py")
    assert_own_packages_were_used(model)

    installation.variables |= {"TEMPORAL_TASK_QUEUE": "another", "STATE_PERSISTENCE_BACKEND": "memory"}
    worker = installation.start("holdfast", "worker")
    try:
        assert worker.stdout
        served = next((line for line in iter(worker.stdout.readline, "") if "worker serves" in line), "")
        worker.send_signal(signal.SIGTERM)
        output, _ = worker.communicate(timeout=TIMEOUT)
    finally:
        worker.kill()
    assert "clerk" in served, output
    assert worker.returncode == 0, output


@pytest.mark.timeout(300)
def test_packages_of_the_user_do_not_collide_with_a_checkout(
    installation: Installation, model: ModelServer, tmp_path: Path
) -> None:
    """Calling a checkout's `starter.py` from one's own folder serves one's own packages as well."""
    with_own_packages(installation, model)
    installation.variables["HOLDFAST_HOME"] = str(tmp_path / "state-of-checkout")
    starter = (sys.executable, str(ROOT / "starter.py"))
    expect_call(model)
    output = installation.run(*starter, "run", "clerk", "Whose packages are these?")
    assert "They are mine." in output
    assert f"{starter[1]} show clerk-" in output
    assert_own_packages_were_used(model)


def test_a_shell_completes_commands_and_options(installation: Installation) -> None:
    """The script that `--show-completion` prints completes names, commands of groups, and options in a real bash."""
    if not shutil.which("bash"):
        pytest.skip("bash is not installed")
    script = """
        eval "$(holdfast --show-completion bash)"
        try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _holdfast_completion holdfast; echo ${COMPREPLY[@]}; }
        try holdfast do
        try holdfast doctor ''
        try holdfast agents sh
        try holdfast run --w
    """
    assert installation.run("bash", "-c", script).splitlines() == [
        "doctor down",
        "verify rebuild",
        "show",
        "--workspace",
    ]


@pytest.mark.timeout(300)
def test_a_new_project_passes_its_test(installation: Installation) -> None:
    """What `init` writes works as it is, and a second `init` does not overwrite what has become of it."""
    assert "pytest" in installation.run("holdfast", "init", "project")
    project = Installation(installation.environment, installation.folder / "project")
    assert "1 passed" in project.run("python", "-m", "pytest", "-q")
    assert "clerk" in project.run("holdfast", "agents")
    (project.folder / "README.md").write_text("mine")
    refusal = project.run("holdfast", "init", code=2)
    assert "this folder already has my_agents.py, test_my_agents.py, .env, .gitignore, README.md" in refusal
    assert (project.folder / "README.md").read_text() == "mine"
    project.run("holdfast", "init", "--force")
    assert (project.folder / "README.md").read_text() != "mine"
