"""The page docs/reference/cli.md, generated from `--help`: `python -m tests.support.cli_reference`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from holdfast.cli.verbs import VERBS, Section

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "cli.md"
HEADER = """# The command line

Every command and its options. Type `python starter.py …` in a checkout, and `holdfast …` if the package is installed.

| exit code | meaning |
|---|---|
| 0 | success |
| 1 | the run failed or was terminated |
| 2 | wrong use: an argument, a setting, an unknown run or agent |
| 3 | Temporal, SurrealDB or the worker is unavailable |
| 4 | the mirror is damaged: `doctor rebuild` repairs it |
| 5 | a recorded history does not replay with the present workflow code |
| 124 | timed out |
| 130 | cancelled, or Ctrl-C, which does not stop the run |
"""


PRINT_HELP = """
import json, os, runpy, sys

os._exit = sys.exit
for words in json.load(sys.stdin):
    sys.argv = ["starter.py", *words.split(), "--help"]
    try:
        runpy.run_path("starter.py", run_name="__main__")
    except SystemExit:
        print(end="\\f", flush=True)
"""
"""Prints the help of many commands in one process, each followed by a form feed."""


def page() -> str:
    """Returns the text of the page."""
    shown = dict(zip(VERBS, help_of([verb.words for verb in VERBS]), strict=True))
    parts = [HEADER]
    for section in Section:
        parts.append(f"## {section}\n")
        parts += [f"### {verb.words}\n\n```text\n{shown[verb]}```\n" for verb in VERBS if verb.section is section]
    return "\n".join(parts)


def help_of(verbs: list[str]) -> list[str]:
    """Returns what `--help` prints for each command, 80 columns wide."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # which has `python`, not only `python3`
    environment = os.environ | {"HOLDFAST_NO_BOOTSTRAP": "1", "COLUMNS": "80", "TERM": "dumb", "PATH": path}
    command = [sys.executable, "-c", PRINT_HELP]
    done = subprocess.run(
        command, input=json.dumps(verbs), cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split("\f")[:-1]


if __name__ == "__main__":
    PAGE.write_text(page())
