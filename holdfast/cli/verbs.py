"""Every command of the program: its name, one line about it, and its module."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Verb:
    """A command; `a b` is in `holdfast.cli.commands.a.b`, as the function `b`, and loaded when it is called."""

    words: str
    """What is typed: its name, after that of its group if it is in one."""
    summary: str
    """The first line of its help."""

    @property
    def group(self) -> str:
        """The group that it is in; empty if it is in none."""
        return self.words.rpartition(" ")[0]

    @property
    def name(self) -> str:
        """Its name within its group."""
        return self.words.rpartition(" ")[2]

    def load(self) -> tuple[Callable[..., Any], str]:
        """Returns its function, and its examples."""
        path = [_identifier(word) for word in self.words.split()]
        module = import_module(f"holdfast.cli.commands.{'.'.join(path)}")
        return getattr(module, path[-1]), module.EXAMPLES


VERBS = (
    Verb("init", "Starts a project: an agent, a test of it, and settings."),
    Verb("run", "Runs an agent and shows what happens until the run ends."),
    Verb("list", "Lists runs, newest first."),
    Verb("show", "Shows one run: status, usage, tools, last entries."),
    Verb("watch", "Shows a run from its beginning and follows it until it ends."),
    Verb("result", "Waits until a run has ended and prints its answer."),
    Verb("transcript", "Prints the messages of a run in full."),
    Verb("cancel", "Asks a run to stop, and keeps what it has done so far."),
    Verb("terminate", "Ends a run at once; prefer `cancel`."),
    Verb("agents list", "Lists the agents that can be run."),
    Verb("agents show", "Shows one agent: its prompt, model, tools and limits."),
    Verb("agents register", "Registers agents that are written in TOML, YAML or JSON."),
    Verb("agents unregister", "Removes an agent from the registry."),
    Verb("agents history", "Lists an agent's versions, and what each changed."),
    Verb("remember", "Stores a text that `search` and agents can find."),
    Verb("search", "Finds remembered texts, best matches first."),
    Verb("events", "Prints the events of a topic, oldest first, one per line."),
    Verb("publish", "Publishes an event to a topic, and prints its offset."),
    Verb("sql", "Runs a read-only SurrealQL query."),
    Verb("doctor verify", "Compares the mirror with Temporal's history."),
    Verb("doctor rebuild", "Repairs the mirror from Temporal's history, row by row."),
    Verb("export", "Writes runs, or everything that is stored, to a file."),
    Verb("import", "Restores what was exported as JSONL."),
    Verb("prune", "Deletes runs that ended long ago."),
    Verb("up", "Starts the local stack."),
    Verb("restart", "Restarts the worker of the local stack; its runs resume."),
    Verb("down", "Stops the local stack; runs and data stay."),
    Verb("status", "Shows what runs where, and whether it answers."),
    Verb("logs", "Shows the log of a part of the local stack."),
    Verb("worker", "Runs a worker in the foreground."),
    Verb("codec", "Lets Temporal's UI and CLI show encrypted and large payloads."),
    Verb("key", "Makes a key for HOLDFAST_ENCRYPTION_KEY."),
    Verb("demo crash", "Kills the worker in mid-turn and shows what is lost."),
)
"""In the order in which they are shown."""


@dataclass(frozen=True)
class Group:
    """Commands that share their first word."""

    summary: str
    default: str | None = None
    """Name of the command that the group's name alone stands for."""


GROUPS = {
    "agents": Group("Lists the agents that can be run, and manages the registry.", default="list"),
    "doctor": Group("Compares the mirror with Temporal's history, and repairs it."),
    "demo": Group("Shows what Holdfast is for."),
}


def summaries(group: str = "") -> dict[str, str]:
    """The names in a group, or in the program itself, each with a line about it, in order."""
    if group:
        return {verb.name: verb.summary for verb in VERBS if verb.group == group}
    return {verb.group or verb.name: GROUPS[verb.group].summary if verb.group else verb.summary for verb in VERBS}


def _identifier(word: str) -> str:
    """A word as a Python name: `import_`, as `import` is taken."""
    return f"{word}_" if keyword.iskeyword(word) or hasattr(builtins, word) else word
