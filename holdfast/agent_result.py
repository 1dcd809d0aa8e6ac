"""The result of a run, for the code that asked for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from holdfast.errors import HoldfastError, RunFailed
from holdfast.types import RunError, RunResult, RunStatus, Usage

_SHOWN_CHARS = 80  # of a text, in a repr
Read = Callable[[str], Any]
"""Makes a value of an agent's type of the JSON text of an answer."""


def typed_answer(text: str, read: Read | None, *, is_json: bool) -> Any:
    """Returns an answer as a value.

    Args:
        text: the text of the answer.
        read: makes a value of the agent's type of it.
        is_json: whether it is the JSON text of such a value.
    """
    if read is not None:
        return read(text)
    return json.loads(text) if is_json else text


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
    read: Read | None = field(default=None, repr=False, compare=False)
    """Makes a value of the agent's type of its JSON text; `None` means that the agent is not known here."""

    @classmethod
    def from_run(cls, result: RunResult, read: Read | None = None) -> Self:
        """Converts a run's result.

        Args:
            result: the result.
            read: makes a value of the type of the agent that acted last of its JSON text.
        """
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
            read=read,
        )

    @classmethod
    def not_started(cls, agent: str, run_id: str | None, error: HoldfastError) -> Self:
        """Returns the result of a run that could not be started; its id is empty if none was wanted."""
        now = datetime.now(UTC)
        reason = RunError(type=type(error).__name__, message=str(error))
        return cls.from_run(
            RunResult(
                run_id=run_id or "", agent=agent, status=RunStatus.FAILED, error=reason, started_at=now, finished_at=now
            )
        )

    @property
    def active_agent(self) -> str:
        """Name of the agent that acted last: the one that the run was started with, or one that has taken over."""
        return self.run.active_agent or self.run.agent

    @property
    def output(self) -> Any:
        """The answer as a value of the agent's `output_type`.

        It is plain JSON data if the run was found by its id, or its agent by a name; and text if the agent has no type.

        Raises:
            OutputInvalid: the answer never had the form that the agent declares.
            GuardBlocked: a guard has blocked the input or the answer.
            RunFailed: the run did not complete for another reason.
            ValueError: the type does not accept the answer any more.
        """
        self.raise_on_failure()
        return typed_answer(self.content, self.read, is_json=self.run.typed)

    @property
    def artifacts(self) -> list[Path]:
        """The files that tools have written, in order, on the machine of the worker that has the workspace."""
        return [Path(self.run.workspace or ".", file) for file in self.run.files]

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
            raise RunFailed.of(self.run)
        return self

    def __repr__(self) -> str:
        text = self.content if self.error is None else self.error
        shown = text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
        return f"<AgentResult {self.status} run_id={self.run_id!r} {shown!r}>"
