"""`init`: starts a project."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.program import command
from holdfast.cli.render.output import Output
from holdfast.errors import UsageError

TEMPLATES = {
    "my_agents.py": "my_agents.py.template",
    "test_my_agents.py": "test_my_agents.py.template",
    ".env": "env.template",
    ".gitignore": "gitignore.template",
    "README.md": "README.md.template",
}
"""Each file of a new project, and the one in `holdfast/cli/templates` that it is a copy of."""

EXAMPLES = """
    $ init
    $ init my-project
"""


async def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project's folder, created if needed.")] = Path(),
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
) -> None:
    """Starts a project: an agent, a test of it, and settings.

    Writes my_agents.py, test_my_agents.py, .env, .gitignore and README.md. Writes
    nothing if one of them exists, unless told to overwrite it.
    """
    existing = [name for name in TEMPLATES if (folder / name).exists()]
    if existing and not force:
        raise UsageError(
            f"{_shown(folder)} already has {', '.join(existing)}; name another folder, or overwrite them with --force"
        )
    _write(folder)
    out = Output()
    out.say(f"wrote {', '.join(TEMPLATES)} in {_shown(folder)}")
    out.note("next:")
    if folder != Path():
        out.note(f"  cd {folder}")
    out.note("  pip install pytest && pytest")
    out.note(f"  {command('run', 'clerk', 'How many anchors are in stock?')}")
    out.note("name a model and its key in .env to get real answers")


def _write(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, template in TEMPLATES.items():
            text = (files("holdfast.cli") / "templates" / template).read_text(encoding="utf-8")
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write to {_shown(folder)}: {error.strerror}: {error.filename}") from error


def _shown(folder: Path) -> str:
    return "this folder" if folder == Path() else str(folder)
