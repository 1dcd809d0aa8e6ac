"""Commands of the command line that end what a run waits for."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

from holdfast.progress import Wait
from holdfast.types import RunId

PROGRAM = "holdfast"
CHOICES = 5  # options of a question for which a command is shown
TEXT, REASON, RESULT, NUMBER = "TEXT", "REASON", "RESULT", "N"
"""What a person puts in their place."""

BUDGETS = {
    "cost_usd": "--cost-usd",
    "tokens": "--tokens",
    "tool_calls": "--tool-calls",
    "turns": "--turns",
    "seconds": "--seconds",
}
"""Options of `budget`, by the limit that does not suffice."""


def endings(run_id: RunId, wait: Wait) -> list[list[str]]:
    """Returns the commands that end a wait, each as its words; none for a time, which comes by itself."""
    commands = BY_KIND.get(wait.kind)
    return commands(run_id, wait) if commands else []


def _answers(run_id: RunId, wait: Wait) -> list[list[str]]:
    choices = [str(choice) for choice in wait.data.get("options") or [TEXT]]
    return [["answer", run_id, wait.id, choice] for choice in choices[:CHOICES]]


def _budget(run_id: RunId, wait: Wait) -> list[list[str]]:
    option = BUDGETS.get(str(wait.data.get("limit")))
    return [["budget", run_id, option, NUMBER] if option else ["budget", run_id, "--retry"]]


BY_KIND: Mapping[str, Callable[[RunId, Wait], list[list[str]]]] = {
    "approval": lambda run, wait: [["approve", run, wait.id], ["deny", run, wait.id, "--reason", REASON]],
    "question": _answers,
    "budget": _budget,
    "call": lambda run, wait: [
        ["resolve", run, wait.id, "--happened", RESULT],
        ["resolve", run, wait.id, "--did-not"],
    ],
    "message": lambda run, _wait: [["send", run, TEXT]],
    "event": lambda _run, wait: [["emit", str(wait.data.get("name", "NAME"))]],
    "resume": lambda run, _wait: [["resume", run]],
}
"""The commands that end a wait, by its kind."""


def shell_command(words: list[str], program: str = PROGRAM) -> str:
    """Returns a command as one types it."""
    return f"{program} {shlex.join(words)}"
