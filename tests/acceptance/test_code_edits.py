"""Changed code and settings of the local stack's worker: what is said, what is checked, and when it restarts."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import STARTER, TIMEOUT
from tests.support.cli_stack import CliStack
from tests.support.lab import eventually
from tests.support.processes import Site

MODULE = """
from edited_prompts import PROMPT
from holdfast import Agent

editor = Agent(name="editor", system_prompt=PROMPT)
"""


class Project:
    """A module of agents, and one that it imports."""

    def __init__(self, folder: Path) -> None:
        self.settings = {"HOLDFAST_AGENTS": "edited_agents", "PYTHONPATH": str(folder)}
        self.prompts = folder / "edited_prompts.py"
        (folder / "edited_agents.py").write_text(MODULE)
        self.edit("PROMPT = 'You edit.'")

    def edit(self, code: str) -> None:
        """Writes the imported module."""
        self.prompts.write_text(f"{code}\n")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with agents."""
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def serving(cli_stack: CliStack, project: Project) -> Iterator[CliStack]:
    """The stack, whose worker serves the project's agents during these tests."""
    yield cli_stack
    assert cli_stack("up").code == 0


@pytest.fixture
def served(serving: CliStack, project: Project) -> CliStack:
    """The stack, whose worker serves the code that the project has now."""
    assert serving("up", changes=project.settings).code == 0
    return serving


def worker_pid(cli: CliStack) -> int:
    """Returns the pid of the stack's worker."""
    return int(cli("status", "--json").json["parts"][-1]["pid"])


def test_older_code_is_reported_and_replaced_by_up(served: CliStack, project: Project) -> None:
    """`status` and `run` say that the worker serves older code; only `up` restarts it, if the new code can be used."""
    before, settings = worker_pid(served), project.settings
    assert served("status", changes=settings).err == ""
    project.edit("PROMPT = 'You edit well.'")
    assert "serves older code: " in (shown := served("status", changes=settings)).err
    assert "edited_prompts.py changed since it started" in " ".join(shown.err.split())
    assert "serves older code" in served("run", "editor", "Edit.", "--mode", "background", changes=settings).err
    assert "serves older code" not in served("list", changes=settings).err

    project.edit("PROMPT = 'You edit.'\nPROMPT += 1 / 0")
    for command in ("up", "restart"):
        refused = served(command, changes=settings)
        assert refused.code == 2
        assert f"{project.prompts}:2: ZeroDivisionError: division by zero" in refused.err
    assert worker_pid(served) == before
    log = served("logs", "worker", "-n", "5").out
    assert "Traceback" in served("logs", "worker", "-n", "60").out
    assert log.rstrip().endswith("ZeroDivisionError: division by zero")

    project.edit("PROMPT = 'You edit better.'")
    restarted = served("up", changes=settings)
    assert restarted.code == 0
    assert "its code has changed" in restarted.err
    assert worker_pid(served) != before
    assert served("status", changes=settings).err == ""


def test_a_worker_keeps_running_if_its_successor_would_have_no_port(served: CliStack, project: Project) -> None:
    """A port of metrics that is taken, or an address that cannot be used, is refused before the worker is stopped."""
    before = worker_pid(served)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        refusals = [
            ({"METRICS_PORT": port}, "Address already in use"),
            ({"METRICS_PORT": port, "METRICS_HOST": "a-name"}, "METRICS_HOST names an address of this machine"),
        ]
        for changes, reason in refusals:
            refused = served("up", changes=project.settings | changes)
            assert refused.code == 2
            assert f"METRICS_PORT='{port}': metrics cannot be served at" in " ".join(refused.err.split())
            assert reason in " ".join(refused.err.split())
            assert "stopping" not in refused.err
            assert worker_pid(served) == before
    measured = {**project.settings, "METRICS_PORT": port}
    assert served("up", changes=measured).code == 0
    assert (after := worker_pid(served)) != before
    assert served("restart", changes=measured).code == 0  # the port is that of the worker which is replaced
    assert worker_pid(served) != after


async def test_up_reloads(served: CliStack, project: Project) -> None:
    """`up --reload` restarts the worker after each change that can be used, until Ctrl-C; then the stack stays up."""
    before = worker_pid(served)
    with served.start("up", "--reload", changes=project.settings) as watcher:
        assert watcher.stderr is not None
        for line in watcher.stderr:
            if b"watching the source files" in line:
                break
        project.edit("PROMPT = 1 / 0")
        said = next(line for line in watcher.stderr if b"edited_prompts.py:1: ZeroDivisionError" in line)
        assert b"The worker keeps the code that it has" in said
        assert worker_pid(served) == before
        project.edit("PROMPT = 'You edit at once.'")
        assert next(line for line in watcher.stderr if line.startswith(b"worker started: pid "))
        watcher.send_signal(signal.SIGINT)
        watcher.communicate(timeout=TIMEOUT)
        assert watcher.returncode == 130
    assert worker_pid(served) != before


async def test_a_worker_in_the_foreground_reloads(temporal_address: str, tmp_path: Path) -> None:
    """`worker --reload` restarts in good order after a change, and ends with the command."""
    folder = tmp_path / "project"
    folder.mkdir()
    project = Project(folder)
    async with Site.open(temporal_address, tmp_path) as site:
        environment = {**site.environment, **project.settings, "HOLDFAST_NO_BOOTSTRAP": "1"}
        worker = site.run(*STARTER, "worker", "--reload", forked=True, **environment)
        await worker.wait_for_output("worker serves")
        project.edit("PROMPT = 1 / 0")
        await worker.wait_for_output("The worker keeps the code that it has")
        project.edit("PROMPT = 'You edit well.'")
        await worker.wait_for_output("worker has ended")

        async def serves_again() -> bool:
            return worker.output.count("worker serves") == 2

        await eventually(serves_again, TIMEOUT)
        assert await worker.stop() == 0
        assert worker.output.count("worker has ended") == 2
