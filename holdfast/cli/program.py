"""The name of this program, for commands that a person can paste into the shell."""

from __future__ import annotations

import shlex
import shutil
import sys
from functools import cache
from pathlib import Path


@cache
def name() -> str:
    """How the program was called: `python starter.py`, or `holdfast`."""
    script = Path(sys.argv[0]).name
    if script != "starter.py":
        return "holdfast"
    return f"{'python' if shutil.which('python') else 'python3'} {script}"


def command(*words: str) -> str:
    """A command of this program, quoted for the shell."""
    return f"{name()} {shlex.join(words)}"
