"""`replay`, as a command: of runs, of all open runs, and of downloaded files."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from holdfast import Agent, tool
from holdfast.composition.replay import history_replayer
from holdfast.errors import PayloadUnreadable
from holdfast.stack.binary import find_server
from holdfast.storage.encryption import KeyRing, new_key
from holdfast.temporal.converter import DATA_CONVERTER
from holdfast.testing import Reply
from tests.support.cli import ROOT, CommandLine
from tests.support.lab import Lab
from tests.support.lab_cli import command_line
from tests.support.many_turns import count_to, counter
from tests.support.stored_lab import open_stored_lab

OTHER_CODE = """
import runpy, sys
from holdfast import names
names.MODEL_CALL = "model.ask"
runpy.run_path("starter.py", run_name="__main__")
"""
"""The command line of a version whose model calls have another type."""


async def on_other_code(lab: Lab, *words: str) -> tuple[int, Any]:
    """Exit code and document of a command of the other version."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", OTHER_CODE, *words],
        cwd=ROOT,
        env=command_line(lab).environment(),
        capture_output=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


async def test_each_execution_of_a_run_is_replayed(short_histories: Lab) -> None:
    """Of a run that continued as new, each execution is replayed, and other code differs in each."""
    lab = short_histories
    lab.server.respond = count_to(60)
    async with lab.worker(counter, max_cached_workflows=10):
        run = (await lab.holdfast.run("counter", "Count.")).run_id
    cli = command_line(lab)
    done = await cli.run("replay", run, "--json")
    assert (done.code, done.json["found"]["differs"]) == (0, 0), done.err
    executions = [each["execution"] for each in done.json["histories"]]
    assert len(executions) == len(set(executions)) > 1
    code, document = await on_other_code(lab, "replay", run, "--json")
    assert (code, document["found"]["differs"]) == (5, len(executions))
    differences = [each["difference"] for each in document["histories"]]
    [first] = [each for each in differences if each["history"].startswith("calls model.call: turn 1 ")]
    assert first["code"].startswith("calls model.ask: turn 1")
    assert first["sdk"].startswith("[TMPRL1100]")


async def test_open_runs_and_downloads_are_replayed(lab: Lab, tmp_path: Path) -> None:
    """`--open` replays the open runs of the task queue alone; a download of Temporal's command line is replayed too."""
    lab.server.say("Counted.")
    lab.server.reply(Reply(text="one two three", hang_after=1))
    async with lab.worker(counter, max_cached_workflows=10):
        await lab.holdfast.run("counter", "Count.")
        run = await lab.holdfast.start("counter", "Count.")
        await lab.server.wait_for_requests(2)
        cli = command_line(lab)
        done = await cli.run("replay", "--open", "--json")
        assert (done.code, done.json) == (
            0,
            {"found": {"replays": 1, "differs": 0, "unchecked": 0, "deleted": 0}, "histories": []},
        )
        code, document = await on_other_code(lab, "replay", "--open", "--json")
        assert (code, [each["run_id"] for each in document["histories"]]) == (5, [run.id])
        file = tmp_path / "run.json"
        file.write_bytes(await download(lab, run.id))
        shown = await cli.run("replay", str(file), changes={"TEMPORAL_ADDRESS": "127.0.0.1:1"})
        assert (shown.code, shown.err) == (0, "")
        assert shown.out.startswith("1 history: 1 replayed without a difference in ")
        assert (await cli.run("replay", "nonesuch")).code == 2
        await run.terminate("seen")


@tool(read_only=True)
def much(size: int) -> str:
    """Returns a text of this size."""
    return "much " * (size // 5)


async def test_encrypted_and_large_payloads_are_replayed(temporal_address: str, tmp_path: Path) -> None:
    """A history is replayed with the keys and the store of its worker; without them, what is missing is named."""
    lender = Agent(name="lender", tools=[much])
    async with open_stored_lab(temporal_address, tmp_path, keys=KeyRing.parse(new_key())) as (lab, _):
        lab.server.call_tools(("much", {"size": 1_000_000}))
        lab.server.say("Much.")
        async with lab.worker(lender, max_cached_workflows=10):
            run = (await lab.holdfast.run("lender", "Go.")).run_id
        history = await lab.client.get_workflow_handle(run).fetch_history()
        assert await history_replayer(lab.client.data_converter).replay(history) is None
        with pytest.raises(PayloadUnreadable, match="HOLDFAST_ENCRYPTION_KEY is not set"):
            await history_replayer(DATA_CONVERTER).replay(history)


async def download(lab: Lab, run_id: str) -> bytes:
    """The history of a run as Temporal's command line writes it."""
    program = (await find_server(print)).path
    process = await asyncio.create_subprocess_exec(
        str(program), "workflow", "show", "--workflow-id", run_id, "--output", "json",
        "--address", lab.settings.temporal_address or "", stdout=subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    return output


@pytest.mark.parametrize("words", [["missing.json"], ["folder/run-1"], ["/"]], ids=" ".join)
def test_nothing_or_nonsense_to_replay_is_refused(words: list[str], tmp_path: Path) -> None:
    """Without a history to replay, the command ends with 2 before anything is started."""
    done = CommandLine({"HOLDFAST_HOME": str(tmp_path / "home")})("replay", *words)
    assert done.code == 2
    assert not (tmp_path / "home").exists()
