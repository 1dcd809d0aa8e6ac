"""Facts about a run that several pages show in the same words."""

from __future__ import annotations

from pathlib import Path

from holdfast.cli.render.output import Output
from holdfast.cli.render.status import STATUS_STYLES
from holdfast.cli.render.text import one_line, wrapped
from holdfast.models import SCRIPTED_MARK, SCRIPTED_MODEL
from holdfast.types import Entry, RunError, RunStatus

REAL_MODEL = "to use one: OPENAI_API_KEY, OPENAI_BASE_URL or OPENROUTER_API_KEY"


def is_scripted(model: str | None) -> bool:
    """Whether the scripted model answered, which is not a language model."""
    return model == SCRIPTED_MODEL


def absolute(files: list[str], workspace: str | None) -> list[str]:
    """The files of a workspace as absolute paths; unchanged if the workspace is not known."""
    if workspace is None:
        return files
    return [str(Path(workspace) / file) for file in files]


def show_error(out: Output, status: RunStatus, error: RunError | None) -> None:
    """Writes why a run did not end well; nothing if it did."""
    if error:
        out.say((wrapped(error.message, out.width, indent=2), STATUS_STYLES[status]))


def model_facts(model: str | None) -> list[tuple[str, str]]:
    """The model that answered; none if no model has answered."""
    if model is None:
        return []
    if is_scripted(model):
        return [("model", SCRIPTED_MARK), ("", REAL_MODEL)]
    return [("model", one_line(model))]


def tried_models(entry: Entry) -> str:
    """The models that were asked before the one of a reply, and why each did not answer; empty if there were none."""
    tried = entry.data.get("tried")
    found = [item for item in tried if isinstance(item, dict)] if isinstance(tried, list) else []
    return ", ".join(one_line(f"{item.get('model')}: {str(item.get('reason')).replace('_', ' ')}") for item in found)


def place_facts(files: list[str], workspace: str | None, ui: str | None) -> list[tuple[str, str]]:
    """The files that a run wrote, and the address of its page in Temporal's UI."""
    facts = [("wrote", one_line(file)) for file in absolute(files, workspace)]
    return [*facts, ("look", ui)] if ui else facts
