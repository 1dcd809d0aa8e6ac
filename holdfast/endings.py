"""The ends of waits: commands of the command line, and signals."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from typing import Any

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


def signals(wait: Wait) -> list[tuple[str, str]]:
    """Returns the signals of the run that end a wait, each with its argument as JSON, "" if it needs none."""
    given = SIGNALS.get(wait.kind)
    return [(name, "" if value is None else json.dumps(value)) for name, value in given(wait)] if given else []


def _answers(run_id: RunId, wait: Wait) -> list[list[str]]:
    choices = [str(choice) for choice in wait.data.get("options") or [TEXT]]
    return [["answer", run_id, wait.id, choice] for choice in choices[:CHOICES]]


def _budget(run_id: RunId, wait: Wait) -> list[list[str]]:
    option = BUDGETS.get(str(wait.data.get("limit")))
    return [["budget", run_id, option, NUMBER] if option else ["budget", run_id, "--retry"]]


def _below(_run_id: RunId, wait: Wait) -> list[list[str]]:
    """Returns what ends the waits of a child run, and of the runs below it."""
    waits = [Wait.model_validate(each) for each in wait.data.get("waits") or []]
    return [words for each in waits if "run" in each.data for words in endings(str(each.data["run"]), each)]


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
    "child": _below,
}
"""The commands that end a wait, by its kind."""


def _answer_signals(wait: Wait) -> list[tuple[str, Any]]:
    choice = next(iter(wait.data.get("options") or []), TEXT)
    return [("answer", {"question": wait.id, "text": str(choice)})]


def _budget_signals(wait: Wait) -> list[tuple[str, Any]]:
    limit = wait.data.get("limit")
    return [("raise_budget", {str(limit): NUMBER} if limit in BUDGETS else None)]


SIGNALS: Mapping[str, Callable[[Wait], list[tuple[str, Any]]]] = {
    "approval": lambda wait: [("approve", wait.id), ("deny", {"call": wait.id, "reason": REASON})],
    "question": _answer_signals,
    "budget": _budget_signals,
    "call": lambda wait: [
        ("resolve", {"call": wait.id, "happened": True, "result": RESULT}),
        ("resolve", {"call": wait.id, "happened": False}),
    ],
    "message": lambda _wait: [("send", TEXT)],
    "resume": lambda _wait: [("resume", None)],
}
"""The signals that end a wait, by its kind."""


def shell_command(words: list[str], program: str = PROGRAM) -> str:
    """Returns a command as one types it."""
    return f"{program} {shlex.join(words)}"
