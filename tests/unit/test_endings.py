"""The commands that end what a run waits for."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer

from holdfast.cli.app import application
from holdfast.cli.render.waits import wait_documents, wait_lines
from holdfast.commands import COMMANDS
from holdfast.endings import NUMBER, endings, shell_command, signals
from holdfast.progress import Wait

NOW = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)


def wait(kind: str, **data: Any) -> Wait:
    """A wait that began three minutes ago."""
    return Wait(id="2/call_1", kind=kind, since=NOW - timedelta(minutes=3), what=f"a {kind}", data=data)


CASES = [
    (wait("approval"), ["approve run-1 2/call_1", "deny run-1 2/call_1 --reason REASON"]),
    (wait("question", options=["yes", "not yet"]), ["answer run-1 2/call_1 yes", "answer run-1 2/call_1 'not yet'"]),
    (wait("question"), ["answer run-1 2/call_1 TEXT"]),
    (wait("budget", limit="cost_usd"), ["budget run-1 --cost-usd N"]),
    (wait("budget"), ["budget run-1 --retry"]),
    (wait("call"), ["resolve run-1 2/call_1 --happened RESULT", "resolve run-1 2/call_1 --did-not"]),
    (wait("message"), ["send run-1 TEXT"]),
    (wait("event", name="deploy finished"), ["emit 'deploy finished'"]),
    (wait("resume"), ["resume run-1"]),
    (
        wait("child", waits=[wait("approval", run="run-2").model_dump(mode="json")]),
        ["approve run-2 2/call_1", "deny run-2 2/call_1 --reason REASON"],
    ),
    (wait("timer"), []),
    (wait("something of a newer version"), []),
]


@pytest.mark.parametrize(("waited", "commands"), CASES, ids=lambda value: value.kind if isinstance(value, Wait) else "")
def test_each_wait_names_the_commands_that_end_it(waited: Wait, commands: list[str]) -> None:
    """For each kind of wait, the commands can be pasted into a shell."""
    assert [shell_command(words) for words in endings("run-1", waited)] == [f"holdfast {each}" for each in commands]
    [document] = wait_documents("run-1", [waited])
    assert [shell_command(words, "").strip() for words in document["ends_with"]] == commands


@pytest.mark.parametrize("waited", [waited for waited, _ in CASES], ids=lambda waited: waited.kind)
def test_each_command_that_ends_a_wait_is_accepted_by_its_verb(waited: Wait) -> None:
    """The command line parses the commands that are shown, once a person has put a number in the place of N."""
    group: Any = typer.main.get_command(application())
    for words in endings("run-1", waited):
        given = ["5" if word == NUMBER else word for word in words]
        context = group.make_context("holdfast", given)
        name, verb, left = group.resolve_command(context, given)
        verb.make_context(name, left, parent=context)


@pytest.mark.parametrize("waited", [waited for waited, _ in CASES], ids=lambda waited: waited.kind)
def test_each_signal_that_ends_a_wait_is_accepted(waited: Wait) -> None:
    """The signals that are shown name commands of a run, and have arguments that these accept."""
    commands = {command.NAME: command for command in COMMANDS}
    for name, text in signals(waited):
        given = json.loads(text.replace(f'"{NUMBER}"', "5")) if text else {}
        commands[name].model_validate({commands[name].TEXT: given} if isinstance(given, str) else given)


def test_a_wait_says_since_when_and_until_when() -> None:
    """Lines for people have what is waited for, since when, until when, and below it the commands."""
    limited = wait("timer").model_copy(update={"until": NOW + timedelta(hours=1)})
    first, command, second = wait_lines("run-1", [wait("resume"), limited], NOW)
    assert first.startswith("a resume, since 2026-")
    assert first.endswith(" (3m ago)")
    assert command.endswith(" resume run-1")
    assert ", until 2026-" in second


def test_many_waits_are_counted() -> None:
    """A run that waits for a hundred things is shown on one page."""
    lines = wait_lines("run-1", [wait("timer")] * 100, NOW)
    assert (len(lines), lines[-1]) == (11, "and 90 more")
