"""Every command of the program: its name, one line about it, and its module."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import Any


class Section(StrEnum):
    """A heading of the overview; each answers one question about runs or what they leave behind."""

    RUN = "Run agents"
    """Which agents are there, and how do I start one, or talk to it?"""
    WATCH = "Watch runs"
    """What is happening, and what waits for me?"""
    CONTROL = "Control runs"
    """How do I change what a run does, or make another run of it?"""
    INSPECT = "Inspect runs"
    """What happened exactly, and is it right?"""
    KEEP = "Keep data"
    """What is stored beside runs, and how do I move or delete it?"""
    STACK = "Stack"
    """What runs where?"""


@dataclass(frozen=True)
class Verb:
    """A command; `a b` is in `holdfast.cli.commands.a.b`, as the function `b`, and loaded when it is called."""

    words: str
    """What is typed: its name, after that of its group if it is in one."""
    summary: str
    """The first line of its help."""
    section: Section
    """Where the overview shows it; the same one for all commands of a group."""

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
    Verb("init", "Starts a project: an agent, a test of it, and settings.", Section.RUN),
    Verb("run", "Runs an agent and shows what happens until the run ends.", Section.RUN),
    Verb("chat", "Talks with an agent in a session that stays open.", Section.RUN),
    Verb("tool", "Calls one tool of an agent, without a run and without a model.", Section.RUN),
    Verb("demo crash", "Kills the worker in the middle of a turn, and shows what is lost.", Section.RUN),
    Verb("agents list", "Lists the agents that can be run.", Section.RUN),
    Verb("agents show", "Shows one agent: its prompt, model, tools and limits.", Section.RUN),
    Verb("agents register", "Registers agents that are written in TOML, YAML or JSON.", Section.RUN),
    Verb("agents unregister", "Removes an agent from the registry.", Section.RUN),
    Verb("agents history", "Lists an agent's versions, and what each changed.", Section.RUN),
    Verb("list", "Lists runs, newest first.", Section.WATCH),
    Verb("show", "Shows one run: status, usage, tools, last entries.", Section.WATCH),
    Verb("watch", "Shows a run from its beginning and follows it until it ends.", Section.WATCH),
    Verb("result", "Waits until a run has ended and prints its answer.", Section.WATCH),
    Verb("inbox", "Lists everything that waits for a person, over all runs.", Section.WATCH),
    Verb("approve", "Approves a call that waits for a person.", Section.CONTROL),
    Verb("deny", "Denies a call that waits for a person's approval.", Section.CONTROL),
    Verb("answer", "Answers a question of an agent.", Section.CONTROL),
    Verb("emit", "Emits an event, which wakes every run that waits for it.", Section.CONTROL),
    Verb("send", "Sends a message to the agent of an open run.", Section.CONTROL),
    Verb("pause", "Pauses a run: nothing new starts until it is resumed.", Section.CONTROL),
    Verb("resume", "Resumes a paused run where it stopped.", Section.CONTROL),
    Verb("interrupt", "Stops the current turn of a run, but not the run.", Section.CONTROL),
    Verb("restore", "Takes a run back to a checkpoint.", Section.CONTROL),
    Verb("compact", "Shortens what the model sees of a run, before its next call.", Section.CONTROL),
    Verb("resolve", "Says whether a call that was lost with its worker took effect.", Section.CONTROL),
    Verb("budget", "Shows what a run has used of its limits, and raises them.", Section.CONTROL),
    Verb("cancel", "Asks a run to stop, and keeps what it has done so far.", Section.CONTROL),
    Verb("terminate", "Ends a run at once; prefer `cancel`.", Section.CONTROL),
    Verb("fork", "Starts a run from a point of another one, with changes.", Section.CONTROL),
    Verb("rerun", "Starts a run with the input of another one.", Section.CONTROL),
    Verb("diff", "Compares two runs: where they diverge, and what each used.", Section.INSPECT),
    Verb("checkpoints", "Lists the checkpoints of a run, oldest first.", Section.INSPECT),
    Verb("transcript", "Prints the messages of a run in full.", Section.INSPECT),
    Verb("files", "Lists the files of a run, or writes them out.", Section.INSPECT),
    Verb("record", "Writes the model calls of runs as a cassette for tests.", Section.INSPECT),
    Verb("replay", "Checks recorded runs against today's workflow code.", Section.INSPECT),
    Verb("sql", "Runs a read-only SurrealQL query.", Section.INSPECT),
    Verb("doctor verify", "Compares the mirror with Temporal's history.", Section.INSPECT),
    Verb("doctor rebuild", "Repairs the mirror from Temporal's history, row by row.", Section.INSPECT),
    Verb("remember", "Stores a text that `search` and agents can find.", Section.KEEP),
    Verb("search", "Finds remembered texts, best matches first.", Section.KEEP),
    Verb("memory list", "Lists the memory folders of agents.", Section.KEEP),
    Verb("memory clear", "Deletes the memory folder of an agent, with all files.", Section.KEEP),
    Verb("events", "Prints the events of a topic, oldest first, one per line.", Section.KEEP),
    Verb("publish", "Publishes an event to a topic, and prints its offset.", Section.KEEP),
    Verb("export", "Writes runs, or everything that is stored, to a file.", Section.KEEP),
    Verb("import", "Restores what was exported as JSONL.", Section.KEEP),
    Verb("prune", "Deletes runs that ended long ago.", Section.KEEP),
    Verb("up", "Starts the local stack.", Section.STACK),
    Verb("restart", "Restarts the worker of the local stack; its runs resume.", Section.STACK),
    Verb("down", "Stops the local stack; runs and data stay.", Section.STACK),
    Verb("status", "Shows what runs where, and whether it answers.", Section.STACK),
    Verb("logs", "Shows the log of a part of the local stack.", Section.STACK),
    Verb("worker", "Runs a worker in the foreground.", Section.STACK),
    Verb("codec", "Lets Temporal's UI and CLI show encrypted and large payloads.", Section.STACK),
    Verb("key", "Makes a key for HOLDFAST_ENCRYPTION_KEY.", Section.STACK),
)
"""In the order in which they are shown, section by section."""


@dataclass(frozen=True)
class Group:
    """Commands that share their first word."""

    summary: str
    default: str | None = None
    """Name of the command that the group's name alone stands for."""


GROUPS = {
    "agents": Group("Lists the agents that can be run, and manages the registry.", default="list"),
    "doctor": Group("Compares the mirror with Temporal's history, and repairs it."),
    "memory": Group("Lists and deletes the files that agents keep.", default="list"),
    "demo": Group("Shows what Holdfast is for."),
}


def summaries(group: str = "") -> dict[str, str]:
    """The names in a group, or in the program itself, each with a line about it, in order."""
    if group:
        return {verb.name: verb.summary for verb in VERBS if verb.group == group}
    return {verb.group or verb.name: GROUPS[verb.group].summary if verb.group else verb.summary for verb in VERBS}


def sections(group: str = "") -> dict[str, list[str]]:
    """The names of `summaries` by the heading under which they are shown; those in a group have one heading."""
    if group:
        return {"Commands": list(summaries(group))}
    found: dict[str, list[str]] = {}
    for verb in VERBS:
        names = found.setdefault(verb.section, [])
        if (name := verb.group or verb.name) not in names:
            names.append(name)
    return found


def _identifier(word: str) -> str:
    """A word as a Python name: `import_`, as `import` is taken."""
    return f"{word}_" if keyword.iskeyword(word) or hasattr(builtins, word) else word
