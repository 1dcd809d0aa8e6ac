"""The name of this program, for commands that a person can paste into the shell."""

from __future__ import annotations

import shlex
import shutil
import sys
from functools import cache
from pathlib import Path

INSTALLED = "holdfast"
"""The command that an installed package puts on PATH."""


@cache
def name() -> str:
    """Returns how the program was called: `python PATH/starter.py`, `python -m holdfast`, or `holdfast`."""
    script = Path(sys.argv[0])
    if script.name == "starter.py":
        return f"{_python()} {shlex.quote(str(script))}"
    if script.parts[-2:] == ("holdfast", "__main__.py"):
        return f"{_python()} -m holdfast"
    return INSTALLED


def _python() -> str:
    return "python" if shutil.which("python") else "python3"


def command(*words: str) -> str:
    """Returns a command of this program, quoted for the shell."""
    return f"{name()} {shlex.join(words)}"
