"""The picture of `demo crash` in README: runs the demo in a terminal and renders its output as an SVG."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from io import StringIO
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.containers import Lines
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "images" / "demo-crash.svg"
COMMAND = "python3 starter.py demo crash"
COLUMNS = 84  # cells; more would be hard to read where README is shown
ROWS = 50
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def record() -> str:
    """Runs the demo, which has a local stack of its own; returns everything that it wrote to the terminal."""
    environment = os.environ | {"HOLDFAST_NO_BOOTSTRAP": "1", "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    return _on_terminal([sys.executable, str(ROOT / "starter.py"), "demo", "crash"], environment)


def _on_terminal(command: list[str], environment: dict[str, str]) -> str:
    reader, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    program = subprocess.Popen(command, env=environment, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    pieces = []
    try:
        while piece := os.read(reader, 65536):
            pieces.append(piece)
    except OSError:  # how Linux says that the terminal has no more writers
        pass
    finally:
        os.close(reader)
    if code := program.wait():
        raise SystemExit(f"the demo ended with exit code {code}:\n{b''.join(pieces).decode()}")
    return b"".join(pieces).decode()


def render(output: str) -> str:
    """Draws the first turn, the crash and the report; what lies between is left out.

    Args:
        output: what the demo wrote, with its escape sequences.
    """
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, highlight=False)
    console.print(Text.assemble(("$ ", "bold green"), (COMMAND, "bold")))
    for line in _shown(Text.from_ansi(output.replace("\r\n", "\n")).split("\n")):
        console.print(line, soft_wrap=True)
    return _self_contained(console.export_svg(title="holdfast", theme=SVG_EXPORT_THEME, code_format=_without_fonts()))


def _shown(lines: Lines) -> list[Text]:
    """The parts of the last run, which is the one that was interrupted."""
    start = max(number for number, line in enumerate(lines) if line.plain.startswith("run "))
    killed = _line(lines, start, "kill -9")
    second_turn = _line(lines, start, "turn 2")
    table = _line(lines, killed, " #  CALL")
    end = _line(lines, table, "✓ completed")
    left_out = [Text("  ⋮", "dim")]
    turns = lines[start:killed] if killed < second_turn else [*lines[start:second_turn], *left_out]
    return [*turns, *lines[killed : killed + 2], *left_out, Text(), *lines[table : end + 1]]


def _line(lines: Lines, start: int, beginning: str) -> int:
    return next(number for number in range(start, len(lines)) if lines[number].plain.startswith(beginning))


def _without_fonts() -> str:
    """The template of the picture, without the fonts that a browser would fetch from elsewhere."""
    return re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def _self_contained(svg: str) -> str:
    return re.sub(r"<!--.*?-->\s*", "", svg).replace("Fira Code, monospace", FONT).replace("Fira Code", FONT)


def main() -> None:
    """Records the demo and writes the picture."""
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(render(record()))


if __name__ == "__main__":
    main()
