"""Output of a run's result, as text and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from holdfast._util.terminal import clean
from holdfast.cli.program import command
from holdfast.cli.render.facts import absolute, is_scripted, model_facts, place_facts, show_error
from holdfast.cli.render.output import Output
from holdfast.cli.render.status import status_mark
from holdfast.cli.render.text import cost, count, duration, one_line, pairs, tokens
from holdfast.types import RunResult


@dataclass(frozen=True)
class Outcome:
    """The result of a run, and where to look at it."""

    result: RunResult
    ui: str | None
    """Address of the run's page in Temporal's UI."""

    def document(self) -> dict[str, Any]:
        """The result as plain values, with absolute paths of files."""
        return {
            **self.result.model_dump(mode="json"),
            "files": absolute(self.result.files, self.result.workspace),
            "ui": self.ui,
            "scripted": is_scripted(self.result.model),
        }

    def show(self, out: Output, *, answer: bool, hint: bool = True) -> None:
        """Writes the outcome, as JSON if the command was asked for JSON.

        Args:
            out: receives it.
            answer: whether to show what the run answered, which has not been shown yet.
            hint: whether to name the command that shows more.
        """
        if out.json:
            out.document(self.document())
            return
        if answer and self.result.output:
            out.say(clean(self.result.output).rstrip())
        if not answer or self.result.output:
            out.say()
        self.show_facts(out, hint=hint)

    def show_facts(self, out: Output, *, hint: bool = True) -> None:
        """Writes how the run ended, what it used, what it wrote and where to look."""
        result = self.result
        used = [count(result.turns, "turn"), count(result.tool_calls, "tool call")]
        used.append(count(result.usage.total_tokens, "token") + cost(result.usage))
        took = f" in {duration((result.finished_at - result.started_at).total_seconds())}" if result.finished_at else ""
        sign, style = status_mark(result.status)
        out.say((sign, f"bold {style}"), f"{took} · {' · '.join(used)}")
        show_error(out, result.status, result.error)
        facts = [("run", result.run_id), *model_facts(result.model)]
        if result.active_agent:
            facts.append(("answered by", one_line(result.active_agent)))
        if result.tree_usage is not None:
            facts.append(("tree", tokens(result.tree_usage)))
        facts += place_facts(result.files, result.workspace, self.ui)
        if hint:
            facts.append(("more", command("show", result.run_id)))
        out.lines(pairs(facts))
