"""Every command of the program, and where it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Verb:
    """A command; its module is loaded when it is asked for, as some load a database's or a server's libraries."""

    words: str
    """What is typed: one word, or that of a group and its own."""
    module: str
    """In `holdfast.cli.commands`."""
    function: str
    examples: str = "EXAMPLES"
    """Name of the module's examples of it."""

    @property
    def group(self) -> str | None:
        """The group that it is in, if it is in one."""
        return self.words.split()[0] if " " in self.words else None

    def load(self) -> tuple[Callable[..., Any], str]:
        """The function, and its examples."""
        module = import_module(f"holdfast.cli.commands.{self.module}")
        return getattr(module, self.function), getattr(module, self.examples)


VERBS = (
    Verb("run", "run", "run"),
    Verb("list", "runs", "list_runs", "LIST_EXAMPLES"),
    Verb("show", "show", "show"),
    Verb("watch", "runs", "watch", "WATCH_EXAMPLES"),
    Verb("result", "runs", "result", "RESULT_EXAMPLES"),
    Verb("transcript", "runs", "transcript", "TRANSCRIPT_EXAMPLES"),
    Verb("cancel", "runs", "cancel", "CANCEL_EXAMPLES"),
    Verb("terminate", "runs", "terminate", "TERMINATE_EXAMPLES"),
    Verb("agents", "agents", "agents"),
    Verb("agents list", "agents", "list_agents", "LIST_EXAMPLES"),
    Verb("agents show", "agent_pages", "show", "SHOW_EXAMPLES"),
    Verb("agents register", "agent_files", "register"),
    Verb("agents unregister", "agents", "unregister", "UNREGISTER_EXAMPLES"),
    Verb("agents history", "agent_pages", "history", "HISTORY_EXAMPLES"),
    Verb("remember", "memory", "remember", "REMEMBER_EXAMPLES"),
    Verb("search", "memory", "search", "SEARCH_EXAMPLES"),
    Verb("events", "events", "events"),
    Verb("publish", "events", "publish", "PUBLISH_EXAMPLES"),
    Verb("sql", "sql", "sql"),
    Verb("doctor verify", "doctor", "verify", "VERIFY_EXAMPLES"),
    Verb("doctor rebuild", "doctor", "rebuild", "REBUILD_EXAMPLES"),
    Verb("export", "export", "export"),
    Verb("import", "importing", "import_"),
    Verb("prune", "prune", "prune"),
    Verb("up", "stack", "up", "UP_EXAMPLES"),
    Verb("down", "stack", "down", "DOWN_EXAMPLES"),
    Verb("status", "stack", "status", "STATUS_EXAMPLES"),
    Verb("worker", "worker", "worker"),
    Verb("codec", "codec", "codec", "CODEC_EXAMPLES"),
    Verb("key", "codec", "key", "KEY_EXAMPLES"),
    Verb("demo crash", "demo", "crash"),
)
"""In the order in which they are shown."""

GROUPS = {
    "agents": "",  # the help of the command `agents` itself
    "doctor": "Holds the mirror against Temporal's history, and mends it.",
    "demo": "Shows what Holdfast is for.",
}


def asked_for(words: Sequence[str]) -> tuple[Verb, ...]:
    """The commands that a call may mean: those of its first word, or all where that is none of them."""
    return tuple(verb for verb in VERBS if words and verb.words.split()[0] == words[0]) or VERBS
