"""How a run ended: for people, and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from holdfast.cli.program import command
from holdfast.cli.render.output import Output, status_mark
from holdfast.cli.render.text import clean, columns, cost, count, duration, one_line, wrapped
from holdfast.cli.render.workspace import absolute
from holdfast.cli.session import Session
from holdfast.models import SCRIPTED_MARK, SCRIPTED_MODEL
from holdfast.types import RunResult

REAL_MODEL = "a real one: OPENAI_API_KEY, OPENAI_BASE_URL or OPENROUTER_API_KEY"


@dataclass(frozen=True)
class Outcome:
    """A result, and where to find what belongs to it."""

    result: RunResult
    ui: str | None
    """Address of Temporal's UI on the run."""

    @classmethod
    def of(cls, session: Session, result: RunResult) -> Outcome:
        """Adds what the result itself does not say."""
        return cls(result, session.ui(result.run_id))

    def document(self) -> dict[str, Any]:
        """The result as plain values, with the files' absolute paths."""
        return {
            **self.result.model_dump(mode="json"),
            "files": absolute(self.result.files, self.result.workspace),
            "ui": self.ui,
            "scripted": is_scripted(self.result.model),
        }

    def show_output(self, out: Output) -> None:
        """What the run answered."""
        if self.result.output:
            out.say(clean(self.result.output).rstrip())
            out.say()

    def show_facts(self, out: Output, *, lead_on: bool = True) -> None:
        """How it ended, what it took, what it wrote and where to look; `lead_on`: also by which command."""
        result = self.result
        facts = [count(result.turns, "turn"), count(result.tool_calls, "tool call")]
        facts.append(count(result.usage.total_tokens, "token") + cost(result.usage))
        took = f" in {duration((result.finished_at - result.started_at).total_seconds())}" if result.finished_at else ""
        sign, style = status_mark(result.status)
        out.say((sign, f"bold {style}"), f"{took} · {' · '.join(facts)}")
        if result.error:
            out.say((wrapped(result.error.message, out.width, indent=2), style))
        more = [("more", command("show", result.run_id))] if lead_on else []
        out.lines(columns([*self._places(), *more]))

    def _places(self) -> list[tuple[str, str]]:
        places = [("run", self.result.run_id)]
        places += model_line(self.result.model)
        places += [("wrote", file) for file in absolute(self.result.files, self.result.workspace)]
        if self.ui:
            places.append(("look", self.ui))
        return places


def is_scripted(model: str | None) -> bool:
    """Whether the scripted model answered, which is no language model."""
    return model == SCRIPTED_MODEL


def model_line(model: str | None) -> list[tuple[str, str]]:
    """The model as a line of facts; none when no model has answered."""
    if model is None:
        return []
    if is_scripted(model):
        return [("model", SCRIPTED_MARK), ("", REAL_MODEL)]
    return [("model", one_line(model))]
