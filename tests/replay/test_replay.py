"""Replays of saved histories, and comparisons of new runs with them."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from holdfast import RunStatus
from holdfast.composition import worker
from holdfast.temporal.converter import DATA_CONVERTER
from holdfast.temporal.replay.recorder import Recording, RecordingRunner
from holdfast.testing import Reply
from holdfast.workflows.registered import WORKFLOWS
from tests.replay.commands import activity_commands
from tests.replay.scenarios import SCENARIOS, agent
from tests.support.lab import Lab
from tests.support.tiers import scaled

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json.gz"))


def name_of(path: Path) -> str:
    """The scenario that a file records."""
    return path.name.removesuffix(".json.gz")


def load(path: Path) -> WorkflowHistory:
    """A recorded history, under the id that its run had: ids of children are made from it."""
    text = gzip.decompress(path.read_bytes()).decode()
    started = WorkflowHistory.from_json("unknown", text).events[0].workflow_execution_started_event_attributes
    return WorkflowHistory.from_json(started.workflow_id, text)


def test_each_scenario_is_recorded() -> None:
    """Every scenario has a recorded history."""
    assert {name_of(path) for path in HISTORIES} >= set(SCENARIOS)


@pytest.mark.parametrize("path", HISTORIES, ids=name_of)
async def test_recorded_histories_replay(path: Path) -> None:
    """Current workflow code replays every recorded history, applying what a task brings in the order of workers."""
    replayer = Replayer(
        workflows=WORKFLOWS,
        data_converter=DATA_CONVERTER,
        workflow_runner=RecordingRunner(SandboxedWorkflowRunner(worker.SANDBOX), Recording()),
        workflow_failure_exception_types=[ValueError, TypeError],
    )
    await replayer.replay_workflow(load(path))


@pytest.mark.parametrize("seed", scaled(["1"], ["1", "2", "3"]))
def test_replay_does_not_depend_on_the_hash_seed(seed: str) -> None:
    """Replays do not depend on the order of sets, which differs between processes."""
    command = [sys.executable, "-m", "pytest", "-q", __file__, "-k", "recorded_histories_replay", "-p", "no:xdist"]
    environment = os.environ | {"PYTHONHASHSEED": seed}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", SCENARIOS)
async def test_commands_are_those_recorded(lab: Lab, name: str) -> None:
    """New runs schedule the recorded activities with the same timeouts, retries and arguments."""
    [path] = [path for path in HISTORIES if name_of(path) == name]
    handle = await SCENARIOS[name](lab)
    history = await lab.client.get_workflow_handle(handle.id).fetch_history()
    assert activity_commands(history) == activity_commands(load(path))


@pytest.mark.slow
async def test_a_lost_attempt_uses_up_no_reply(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The attempt of a call that repeats a lost one has the same reply, so that a busy machine changes no scenario."""
    lab.server.reply(Reply.error(503), Reply("The beginning of an answer.", hang_after=1))
    lab.server.say("Found.")
    monkeypatch.setattr("holdfast.activities.heartbeat.HEARTBEAT_INTERVAL", timedelta(hours=1))
    async with lab.worker(agent, max_cached_workflows=100):
        handle = await lab.holdfast.start("recorded", "Find it.")
        await lab.server.wait_for_requests(2, 60)  # of which the second is never heard of again
        monkeypatch.undo()
        await lab.server.wait_for_requests(3, 60)
        await handle.cancel()
        assert (await handle.result(60)).status == RunStatus.CANCELLED
        assert (await lab.holdfast.run("recorded", "Find it.", timeout=60)).content == "Found."
