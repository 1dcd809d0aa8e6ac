"""Result of a run, for the code that started it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

from holdfast.errors import RunFailed
from holdfast.types import RunResult, RunStatus, Usage

_SHOWN_CHARS = 80  # of a text, in a repr


@dataclass(frozen=True)
class AgentResult:
    """How a run ended, for the code that asked for it."""

    success: bool
    """Whether the run completed."""
    content: str
    """The model's answer; of an answer that was cut off or interrupted, the part that had arrived."""
    error: str | None
    """Why the run did not complete; `None` if it did."""
    usage: Usage
    run_id: str
    status: RunStatus
    metadata: dict[str, Any]
    """`agent`, `turns`, `tool_calls`, `model`, `finish_reason`, `files`, `started_at`, `finished_at`; see RunResult."""
    run: RunResult = field(repr=False)
    """The complete result."""

    @classmethod
    def from_run(cls, result: RunResult) -> Self:
        """Converts a run's result."""
        success = result.status is RunStatus.COMPLETED
        reason = result.error.message if result.error else f"the run ended as {result.status}"
        return cls(
            success=success,
            content=result.output,
            error=None if success else reason,
            usage=result.usage,
            run_id=result.run_id,
            status=result.status,
            metadata={
                "agent": result.agent,
                "turns": result.turns,
                "tool_calls": result.tool_calls,
                "model": result.model,
                "finish_reason": result.finish_reason,
                "files": list(result.files),
                "started_at": result.started_at,
                "finished_at": result.finished_at,
            },
            run=result,
        )

    @property
    def reply(self) -> str:
        """The same as `content`."""
        return self.content

    def raise_on_failure(self) -> Self:
        """Returns the result if the run completed.

        Raises:
            RunFailed: it did not; the error carries the RunResult.
        """
        if not self.success:
            raise RunFailed(self.run)
        return self

    def __repr__(self) -> str:
        text = self.content if self.error is None else self.error
        shown = text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
        return f"<AgentResult {self.status} run_id={self.run_id!r} {shown!r}>"
