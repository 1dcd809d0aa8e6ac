"""Control of runs from the command line: send, pause, resume, interrupt, chat."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from holdfast.client.holdfast import Holdfast
from holdfast.temporal.connection import connect_temporal
from tests.support.cli import STARTER
from tests.support.cli_stack import ANSWER, QUESTION, CliStack
from tests.support.terminal import CTRL_D, ENTER, PROMPT, on_terminal

pytestmark = pytest.mark.timeout(300)


def test_pause_send_and_resume(cli: CliStack) -> None:
    """A paused run says so everywhere, takes messages, and continues when it is resumed."""
    run = cli.start_held()
    paused = cli("pause", run)
    assert (paused.code, paused.out) == (0, f"{run} pauses; `resume` continues it\n")
    again = cli("pause", run)
    assert again.code == 1
    assert "paused already" in again.err
    assert cli("send", run, "Only one sentence, please.", "--key", "m1", "--json").json["run_id"] == run
    cli.server.release()
    shown = cli("show", run)
    assert "paus" in shown.out
    assert cli("resume", run).code == 0
    assert cli("result", run).code == 0
    assert "Only one sentence, please." in cli("transcript", run).out


def test_commands_that_are_refused(cli: CliStack) -> None:
    """What cannot be done is said on one line, with exit code 1 or 2."""
    unknown = cli("pause", "no-such-run")
    assert (unknown.code, unknown.err) == (2, "error: no run 'no-such-run'; see `list`\n")
    run = cli("run", "researcher", QUESTION, "--workspace", str(cli.documents), "--mode", "blocking", "--json")
    over = cli("send", run.json["run_id"], "Hello?")
    assert over.code == 1
    assert "has ended (completed)" in over.err
    blank = cli("send", run.json["run_id"], " ")
    assert blank.code == 2
    assert "must not be blank" in blank.err


def test_chat_from_a_script(cli: CliStack) -> None:
    """`--message` sends one message and prints the answer; the session continues with the next call."""
    session = f"chat-{uuid.uuid4().hex[:8]}"
    options = ("--id", session, "--workspace", str(cli.documents))
    first = cli("chat", "researcher", *options, "--message", QUESTION)
    assert first.code == 0, first.err
    assert ANSWER in first.out
    second = cli("chat", "researcher", *options, "--message", QUESTION, "--json")
    assert ANSWER in second.json["answer"]
    assert cli("chat", "researcher", *options).code == 2, "without a terminal it says what to do"
    assert "waiting for the next message" in cli("show", session).out
    assert cli("cancel", session).code == 0


def test_chat_from_a_script_says_why_there_is_no_answer(cli: CliStack) -> None:
    """A message to a paused session waits with it, and the command says so, with the command that ends the wait."""
    session = f"chat-{uuid.uuid4().hex[:8]}"
    options = ("--id", session, "--workspace", str(cli.documents))
    assert cli("chat", "researcher", *options, "--message", QUESTION).code == 0
    assert cli("pause", session).code == 0
    command = (*STARTER, "chat", "researcher", *options, "--message", QUESTION)
    with on_terminal(command, cli.environment()) as terminal:
        terminal.wait_for(f"resume {session}")
        assert [wait["kind"] for wait in cli("show", session, "--json").json["waits_for"]] == ["resume"]
        assert cli("resume", session).code == 0
        terminal.wait_for("no boat is lost")
        assert terminal.ended() == 0
    cli("cancel", session)


def test_chat_on_a_terminal(cli: CliStack) -> None:
    """Ctrl-C stops an answer, Ctrl-D leaves the session open, and a later `chat` continues it."""
    session = f"chat-{uuid.uuid4().hex[:8]}"
    command = (*STARTER, "chat", "researcher", "--id", session, "--workspace", str(cli.documents))
    with on_terminal(command, cli.environment()) as terminal:
        terminal.wait_for("begins with your first message")
        terminal.wait_for(PROMPT)
        cli.server.hold()
        seen = len(cli.server.requests)
        terminal.type(f"Hello?{ENTER}")
        cli.wait_for_requests(seen + 1)
        terminal.interrupt()
        terminal.wait_for("the turn was interrupted")
        terminal.wait_for(PROMPT)
        cli.server.release()
        terminal.type(f"{QUESTION}{ENTER}")
        terminal.wait_for("no boat is lost")
        terminal.wait_for(PROMPT)
        terminal.type(CTRL_D)
        terminal.wait_for("the session stays open")
        assert terminal.ended() == 0
    with on_terminal(command, cli.environment()) as terminal:
        terminal.wait_for("is waiting")
        terminal.wait_for("no boat is lost")
        terminal.wait_for(PROMPT)
        terminal.type(CTRL_D)
        assert terminal.ended() == 0
    cli("cancel", session)


def test_chat_asks_for_approvals(cli: CliStack) -> None:
    """A person who opens a session is asked about the call that waits, and about later ones, and talks on."""
    session = f"chat-{uuid.uuid4().hex[:8]}"

    async def begin() -> None:
        runs = Holdfast(await connect_temporal(cli.temporal_address()))
        await runs.session(session, "researcher", workspace=cli.documents, approve=["write_file"]).send(QUESTION)

    asyncio.run(begin())
    command = (*STARTER, "chat", "researcher", "--id", session)
    with on_terminal(command, cli.environment()) as terminal:
        terminal.wait_for("approval of write_file(")
        terminal.wait_for("[y]es, [n]o")
        terminal.type(f"perhaps{ENTER}")
        terminal.wait_for("[y]es, [n]o")
        terminal.type(f"n{ENTER}")
        terminal.wait_for("why, for the agent")
        terminal.type(f"not on a Sunday{ENTER}")
        terminal.wait_for("not on a Sunday")
        terminal.wait_for(PROMPT)
        terminal.type(f"{QUESTION}{ENTER}")
        terminal.wait_for("[y]es, [n]o")
        terminal.type(f"y{ENTER}")
        terminal.wait_for("no boat is lost")
        terminal.wait_for(PROMPT)
        terminal.type(CTRL_D)
        assert terminal.ended() == 0
    told = [each["content"] for each in cli("transcript", session, "--json").json if each["role"] == "tool"]
    assert [text for text in told if "not on a Sunday" in text]
    assert [text for text in told if "wrote" in text], told
    cli("cancel", session)


def test_chat_requires_approvals(cli: CliStack) -> None:
    """A session that `chat` begins can require approvals, and deny at a deadline what nobody has decided about."""
    session = f"chat-{uuid.uuid4().hex[:8]}"
    options = ("--workspace", str(cli.documents), "--require-approval", "write_file", "--approval-timeout", "0.5")
    done = cli("chat", "researcher", "--id", session, *options, "--message", QUESTION)
    assert done.code == 0, done.err
    assert ANSWER in done.out
    told = [each["content"] for each in cli("transcript", session, "--json").json if each["role"] == "tool"]
    assert [text for text in told if "nobody approved this call in time" in text], told
    cli("cancel", session)
