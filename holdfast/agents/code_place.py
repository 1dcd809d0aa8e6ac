"""The place of the code of agents: the file that defines an agent, and the task queue of the process that has it."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, TypeVar
from weakref import WeakValueDictionary

OURS = "holdfast."
SHOWN_FILE = 80  # characters of a file's name in the name of a task queue
NOTEBOOK = "JPY_SESSION_NAME"
"""Variable in which Jupyter names the notebook."""


class HasCode(Protocol):
    """An agent with code of its own."""

    code_queue: str


A = TypeVar("A", bound=HasCode)

_newest: WeakValueDictionary[str, Any] = WeakValueDictionary()


def code_queue(name: str, file: str) -> str:
    """Returns the task queue of the processes that have the code of an agent: `clerk@shop.py#1f0c2d7a`.

    Args:
        name: of the agent.
        file: the absolute path of the file that defines it, so that agents of the same name do not meet.
    """
    digest = hashlib.sha256(file.encode(errors="surrogateescape")).hexdigest()[:8]
    shown = Path(file).name.encode(errors="replace").decode(errors="replace")[:SHOWN_FILE]
    return f"{name}@{shown}#{digest}"


def defining_file(agent: object, frame: FrameType | None) -> str:
    """Returns the file of an agent's class; or, if that is of Holdfast, the file that creates the agent.

    Args:
        agent: the agent, which is being created.
        frame: the frame in which its `__init__` was called.
    """
    cls = type(agent)
    if not cls.__module__.startswith(OURS):
        return _file_of(cls.__module__, vars(sys.modules.get(cls.__module__, object)))
    while frame and (frame.f_locals.get("self") is agent or frame.f_locals.get("cls") is cls):  # `__init__`, `Agent.of`
        frame = frame.f_back
    return _file_of(str(frame.f_globals.get("__name__")), frame.f_globals) if frame else _session_place()


def remember(agent: HasCode) -> None:
    """Makes an agent the one that calls for its name and file are for, in place of an earlier one."""
    _newest[agent.code_queue] = agent


def newest(agent: A) -> A:
    """Returns the agent that was last defined under the name and in the file of this one."""
    found: A = _newest.get(agent.code_queue, agent)
    return found


def peer(agent: A, name: str) -> A | None:
    """Returns the agent of another name that was last defined in the file of an agent; `None` if there is none."""
    queue = agent.code_queue
    return _newest.get(name + queue[queue.rindex("@") :])


def _file_of(module: str, names: Any) -> str:
    file = names.get("__file__")
    if module == "__main__" and file is None:
        return _session_place(names)
    return os.path.realpath(file) if file else module


def _session_place(names: Any = None) -> str:
    """Returns a name for the notebook or the interactive session, which is the same when it is started again."""
    if notebook := os.environ.get(NOTEBOOK) or (names or {}).get("__vsc_ipynb_file__"):
        return os.path.realpath(notebook)
    return str(Path.cwd() / ("notebook" if "ipykernel" in sys.modules else "python"))
