"""The command line in real processes: exit codes, output and errors."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.cli import STARTER, TIMEOUT
from tests.support.cli_stack import ANSWER, QUESTION, CliStack

MARK = "scripted model, not a language model"
UNPOLLED = "a-queue-without-workers"


def test_run_shows_everything_and_ends_well(cli: CliStack) -> None:
    """`run` shows turns, tool calls, the answer, where to look, which files were written, and that the model is
    scripted.
    """
    done = cli("run", "researcher", QUESTION, "--workspace", str(cli.documents), "--id", "harbour-1")
    assert done.code == 0, done.err
    report = cli.documents / "reports" / "what-does-the-harbour-master-promise.md"
    assert report.is_file()
    for expected in ("turn 1", "→ list_files()", "→ search_files(", "← read_file", str(report), MARK, ANSWER):
        assert expected in " ".join(done.out.split()), done.out
    assert "/workflows/harbour-1" in done.out
    assert "\x1b" not in done.out + done.err
    prose = [line for line in done.out.splitlines() if "http" not in line and str(cli.documents) not in line]
    assert max(map(len, prose)) <= 80


def test_a_workspace_that_the_worker_may_not_use_is_explained(cli: CliStack, tmp_path: Path) -> None:
    """A folder that is not below the one where the stack was started fails the run, and the error says what to do."""
    done = cli("run", "researcher", QUESTION, "--workspace", str(tmp_path))
    assert done.code == 2
    said = " ".join((done.out + done.err).split())
    assert "is not below a folder that this worker may use" in said
    assert "set WORKSPACE_ROOTS to a folder above it, or start the worker in one, and restart the worker" in said


def test_list_works_with_standard_output_closed(cli: CliStack) -> None:
    """`list >&-` reads the runs, writes nothing, and ends well."""
    done = subprocess.run(
        ["bash", "-c", '"$@" >&-', "bash", *STARTER, "list"],
        env=cli.environment(),
        cwd=cli.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert "Error" not in done.stderr


def test_json_is_one_document_everywhere(cli: CliStack) -> None:
    """With `--json` every command writes one document to stdout, and all agree about a run."""
    run = cli("run", "researcher", "-", "--workspace", str(cli.documents), "--json", stdin=QUESTION)
    assert run.code == 0, run.err
    result = run.json
    run_id = result["run_id"]
    assert result["status"] == "completed"
    assert result["scripted"] is True
    assert ANSWER in result["output"]
    assert all(Path(file).is_file() for file in result["files"])
    assert f"run {run_id}" in run.err
    assert "turn 1" in run.err

    listed = next(one for one in cli("list", "--json").json if one["run_id"] == run_id)
    shown = cli("show", run_id, "--json").json
    watched = cli("watch", run_id, "--json").json
    messages = cli("transcript", run_id, "--json").json
    again = cli("result", run_id, "--json").json
    assert again == result == watched["result"]
    assert listed["turn"] == shown["turn"] == result["turns"]
    assert sum(tool["calls"] for tool in shown["tools"].values()) == result["tool_calls"]
    assert [entry["seq"] for entry in watched["entries"]] == list(range(shown["head"] + 1))
    assert [message["seq"] for message in messages] == list(range(len(messages)))
    assert messages[1]["content"] == QUESTION
    assert cli("status", "--json").json["healthy"] is True
    assert "researcher" in [agent["name"] for agent in cli("agents", "--json").json]


def test_pages_for_people(cli: CliStack) -> None:
    """`show`, `list` and `transcript` describe a run in lines that fit 80 columns."""
    started = cli("run", "researcher", QUESTION, "--workspace", str(cli.documents), "--mode", "background")
    run_id = started.out.strip()
    assert started.out == f"{run_id}\n"
    assert f"watch {run_id}" in started.err
    result = cli("result", run_id)
    assert result.code == 0
    assert ANSWER in result.out
    assert result.out.count(f"model  {MARK}") == 1
    shown = cli("show", run_id)
    assert "✓ completed" in shown.out
    assert "list_files ×1" in shown.out
    listed = cli("list")
    assert [line for line in listed.out.splitlines() if line.startswith(f"{run_id} ") and "completed" in line]
    assert max(map(len, listed.out.splitlines())) <= 80
    assert QUESTION in cli("transcript", run_id).out


@pytest.mark.parametrize(
    "words",
    [["show"], ["watch"], ["result"], ["transcript"], ["cancel"], ["terminate", "--reason", "x"]],
    ids=lambda words: str(words[0]),
)
def test_unknown_run_is_wrong_use(cli: CliStack, words: list[str]) -> None:
    """An unknown run id ends with exit code 2 and names the id."""
    done = cli(words[0], "no-such-run", *words[1:])
    assert done.code == 2, done.err
    assert "no-such-run" in done.err
    assert done.out == ""


def test_unknown_agent_is_wrong_use(cli: CliStack) -> None:
    """An agent that neither the worker nor the registry knows starts no run; the message names a similar one."""
    done = cli("run", "reseracher", "hello", "--id", "mistyped")
    assert (done.code, done.out) == (2, "")
    known = "assistant, coder, frontend-developer, persona, researcher"
    assert f"'reseracher' not found (did you mean 'researcher'?); known: {known}" in done.err
    assert cli("show", "mistyped").code == 2


def test_a_command_with_other_settings_leaves_the_worker_alone(cli: CliStack) -> None:
    """It says what differs, and refuses an agent that only its own settings know."""
    before = cli("status", "--json").json["parts"]
    other = {"HOLDFAST_AGENTS": "tests.support.crash_agents", "OPENAI_BASE_URL": "", "MAX_CONCURRENT_AGENTS": "3"}
    listed = cli("list", "--json", changes=other)
    assert "has other settings than this command and keeps them" in listed.err
    assert "HOLDFAST_AGENTS, MAX_CONCURRENT_AGENTS, OPENAI_BASE_URL" in listed.err
    assert isinstance(listed.json, list)
    refused = cli("run", "clerk", "Count.", changes=other)
    assert refused.code == 2
    assert "'clerk' not found" in refused.err
    assert "another value of HOLDFAST_AGENTS than this command" in refused.err
    asked = ("run", "researcher", QUESTION, "--workspace", str(cli.documents), "--mode", "blocking")
    assert ANSWER in cli(*asked, changes=other).out
    assert [part["pid"] for part in before] == [part["pid"] for part in cli("status", "--json").json["parts"]]
    assert cli("list").err == ""


def test_a_database_that_is_down_is_not_healthy(cli: CliStack) -> None:
    """`status` asks the database, and says why it does not answer."""
    done = cli("status", "--json", changes={"SURREALDB_URL": "ws://127.0.0.1:1"})
    assert done.code == 3
    assert done.json["healthy"] is False
    assert "ws://127.0.0.1:1" in done.json["store_fault"]
    assert cli("status", "--json").json["store_fault"] is None


def test_taken_id_is_wrong_use(cli: CliStack) -> None:
    """A run id is an idempotency key: a second `run` with the same id starts nothing and ends with exit code 2."""
    words = ("run", "researcher", QUESTION, "--id", "once", "--workspace", str(cli.documents))
    assert cli(*words).code == 0
    again = cli(*words)
    assert again.code == 2
    assert "'once'" in again.err


def test_limits_have_codes_of_their_own(cli: CliStack) -> None:
    """The exit code is 1 when the turns are used up and 124 when the time is."""
    turns = cli("run", "researcher", QUESTION, "--max-turns", "1", "--workspace", str(cli.documents))
    assert turns.code == 1
    assert "no answer after 1 turn" in " ".join(turns.out.split())
    cli.server.hold()
    assert cli("run", "researcher", QUESTION, "--timeout", "1").code == 124


def test_result_stops_waiting_and_the_run_continues(cli: CliStack) -> None:
    """`result --timeout` ends with 124 and says how to continue; the run is unaffected."""
    run_id = cli.start_held()
    waited = cli("result", run_id, "--timeout", "1")
    assert waited.code == 124
    assert f"watch {run_id}" in waited.err
    cli.server.release()
    assert cli("result", run_id).code == 0


def test_ctrl_c_leaves_the_run_alive(cli: CliStack) -> None:
    """Ctrl-C in `watch` ends with 130 and says how to resume watching and how to cancel; the run continues."""
    run_id = cli.start_held()
    with cli.start("watch", run_id) as watching:
        assert watching.stdout is not None
        assert QUESTION in watching.stdout.readline().decode()
        watching.send_signal(signal.SIGINT)
        _, err = watching.communicate(timeout=TIMEOUT)
    assert watching.returncode == 130
    assert f"watch {run_id}" in err.decode()
    assert f"cancel {run_id}" in err.decode()
    assert "● running" in cli("show", run_id).out
    assert cli("cancel", run_id).code == 0
    assert cli("result", run_id).code == 130
    again = cli("cancel", run_id)
    assert (again.code, again.out) == (0, f"{run_id} has already ended (cancelled)\n")


def test_terminate_ends_a_run_as_failed(cli: CliStack) -> None:
    """A terminated run has exit code 1 and is listed as terminated."""
    run_id = cli.start_held()
    assert cli("terminate", run_id, "--reason", "a test").code == 0
    assert cli("result", run_id).code == 1
    assert run_id in cli("list", "--status", "terminated").out


@pytest.mark.parametrize("mode", ["blocking", "streaming"])
def test_missing_worker_is_reported_at_once(cli: CliStack, mode: str) -> None:
    """`run` reports at once that no worker polls the task queue, and keeps waiting."""
    elsewhere = {"TEMPORAL_ADDRESS": cli.temporal_address(), "TEMPORAL_TASK_QUEUE": UNPOLLED}
    with cli.start("run", "researcher", QUESTION, "--mode", mode, changes=elsewhere) as waiting:
        assert waiting.stderr is not None
        assert waiting.stderr.readline().decode().startswith("run ")
        assert f"no worker polls task queue '{UNPOLLED}'" in waiting.stderr.readline().decode()
        assert waiting.poll() is None
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(TIMEOUT) == 130


def test_missing_worker_is_reported_in_the_background_too(cli: CliStack) -> None:
    """A background run is started and kept, and the output says that no worker is there."""
    elsewhere = {"TEMPORAL_ADDRESS": cli.temporal_address(), "TEMPORAL_TASK_QUEUE": UNPOLLED}
    done = cli("run", "researcher", QUESTION, "--mode", "background", "--json", changes=elsewhere)
    assert done.code == 0
    assert done.json["worker"] is False
    assert "no worker" in done.err
    silent = cli("result", done.json["run_id"], "--timeout", "2", changes=elsewhere)
    assert silent.code == 124
    assert "no worker" in silent.err


def test_events_of_runs_fit_a_line(cli: CliStack) -> None:
    """`events` shows the end of a run with its id and status within 80 columns."""
    run_id = cli("run", "researcher", QUESTION, "--workspace", str(cli.documents), "--json").json["run_id"]
    lines = cli("events").out.splitlines()
    assert any(line.endswith(f"{run_id} completed (researcher)") for line in lines), lines
    assert max(map(len, lines)) <= 80


def test_a_reader_that_closes_the_pipe_is_no_error(cli: CliStack) -> None:
    """A reader that closes the pipe, as `head -1` does, causes no error."""
    run_id = cli("run", "researcher", QUESTION, "--workspace", str(cli.documents), "--mode", "background").out.strip()
    assert cli("result", run_id).code == 0
    with cli.start("transcript", run_id) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(TIMEOUT) == 0


def test_a_full_disk_is_not_a_bug(cli: CliStack) -> None:
    """A command whose output cannot be written says so."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with full.open("wb") as output:
        command = [*STARTER, "list", "--json"]
        done = subprocess.run(
            command, stdout=output, stderr=subprocess.PIPE, env=cli.environment(), timeout=TIMEOUT, check=False
        )
    assert done.returncode == 1
    assert done.stderr.decode() == "error: the output or a file could not be written: No space left on device\n"


def test_demo_crash_proves_its_point(cli: CliStack) -> None:
    """`demo crash` shows that only the interrupted call was repeated, and leaves the stack of the user alone."""
    before = cli("status", "--json").json["parts"]
    done = cli("demo", "crash", "--json")
    assert done.code == 0, done.err
    assert [part["pid"] for part in before] == [part["pid"] for part in cli("status", "--json").json["parts"]]
    found = done.json
    assert found["verdict"] is True
    assert found["in_flight"]
    assert found["repeated"] == []
    assert {call["attempts"] for call in found["calls"] if call["key"] not in found["in_flight"]} == {1}
    assert found["result"]["status"] == "completed"
    assert "kill -9" in done.err
