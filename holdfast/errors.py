"""Errors of Holdfast, in one tree.

HoldfastError
├── UsageError                 an argument is not accepted; the message says what is
│   ├── SettingsError          a setting has a bad value
│   ├── AgentDefinitionError   the definition of an agent or a tool is not valid
│   │   ├── ToolNotServed      it names a tool that is not served here
│   │   ├── NotAnAgent         the object has no name that is text (also a TypeError)
│   │   ├── UnknownOption      a function has no such keyword; the message names the right one (also a TypeError)
│   │   └── BrokenAgentModule  importing a module of HOLDFAST_AGENTS has raised an error
│   ├── UnknownAgent           no agent has this name (also a KeyError)
│   ├── RunExists              a run already has this id
│   └── ApprovalRequired       a tool that is called without a run needs a person's approval
├── ToolCallFailed             a tool that was called without a run has failed
├── RunNotFound                no run has this id
├── QueryRefused               a run cannot answer a query
├── CommandRefused             a run refuses a command; the message says why
│   └── RunOver                it has ended
│       └── SessionOver        it was a session
├── RunFailed                  the run did not complete; carries its RunResult
│   ├── OutputInvalid          its answer never had the form that the agent declares
│   └── GuardBlocked           a guard has blocked the input or the answer
├── NoAnswer                   an agent has not answered a message in a session
├── WaitTimedOut               a run has not ended within the caller's timeout; it stays active
├── Unavailable                a service that Holdfast needs is unavailable
│   ├── TemporalUnavailable
│   ├── StoreUnavailable
│   │   └── StoreLocked        another process has the embedded database open
│   ├── MCPServerUnavailable   an MCP server cannot be started or reached
│   └── WorkerUnavailable      no worker polls the task queue
├── MirrorGap                  the mirror lacks entries before the batch
├── MirrorDamaged              a row of the mirror is damaged; `doctor rebuild` repairs it
├── BundleDamaged              a file of `export` is truncated or altered
├── SubscriberTooSlow          a subscriber of the event bus did not keep up
│   └── EventsPruned           the events that it reads next are deleted
├── PayloadUnreadable          a payload's bytes or its key are missing
├── TranscriptUnavailable      the store does not have the context that a model call refers to
└── ModelError                 a model call failed
    ├── ModelUnavailable       temporary: retry now, or after `retry_after`
    ├── ModelRefused           permanent: the provider rejects this request
    │   └── OutOfCredit        the account has no credit or budget
    └── ContextOverflow        the context is larger than the model accepts

`ErrorType` names the errors that cross the Temporal boundary.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Self

from holdfast.fault_reason import FaultReason
from holdfast.similar import most_similar

if TYPE_CHECKING:
    from holdfast.types import RunResult


TO_ADD_AN_AGENT = (
    "To use an agent of your own, register it (`agents register FILE`), or name its module in HOLDFAST_AGENTS "
    "and restart the worker"
)
SHOWN_NAMES = 50  # of agents in a message

NOT_YET = "this worker has not received the newest workflow task of the run yet; repeat the query"
"""Failure message of a query that arrived before its workflow task; see `ConsistentQueryRunner`."""


class ErrorType(enum.StrEnum):
    """Values of `ApplicationError.type`, shared by the code that raises failures and the code that handles them."""

    INVALID_REQUEST = "InvalidRunRequest"
    UNKNOWN_AGENT = "UnknownAgent"
    NOT_SERVED = "NotServed"
    MCP_UNAVAILABLE = "McpServerUnavailable"
    NOT_HELD = "CallNotHeld"
    APPROVAL_REQUIRED = "ApprovalRequired"
    NO_SLOT = "NoSlot"
    CALL_LOST = "CallLost"
    NO_CLAIM = "NoClaim"
    CLAIM_REQUIRED = "ClaimRequired"
    WORKSPACE_NOT_READY = "WorkspaceNotReady"
    REDIRECTED = "Redirected"
    UNKNOWN_WORKFLOW = "UnknownWorkflowType"
    MODEL_UNAVAILABLE = "ModelUnavailable"
    MODEL_REFUSED = "ModelRefused"
    ANSWER_CUT_OFF = "AnswerCutOff"
    ANSWER_FILTERED = "AnswerFiltered"
    ANSWER_EMPTY = "AnswerEmpty"
    OUTPUT_INVALID = "OutputInvalid"
    GUARD_BLOCKED = "GuardBlocked"
    PROMPT_FAILED = "SystemPromptFailed"
    CONTEXT_OVERFLOW = "ContextOverflow"
    CONTENT_LOST = "ContentLost"
    REPLY_TOO_LARGE = "ReplyTooLarge"
    TRANSCRIPT_UNAVAILABLE = "TranscriptUnavailable"
    MIRROR_GAP = "MirrorGap"
    STORE_UNAVAILABLE = "StoreUnavailable"
    COMMAND_REFUSED = "CommandRefused"
    CONTINUES = "ContinuesAsNew"
    RUN_OVER = "RunOver"
    SESSION_OVER = "SessionOver"
    MAX_TURNS = "MaxTurnsExceeded"
    BUDGET_EXCEEDED = "BudgetExceeded"
    TIMED_OUT = "RunTimedOut"
    CANCELLED = "RunCancelled"
    INTERRUPTED = "Interrupted"
    TERMINATED = "RunTerminated"
    INTERNAL = "InternalError"


class HoldfastError(Exception):
    """Base class of all errors of Holdfast."""


class UsageError(HoldfastError, ValueError):
    """An argument is not accepted; the message says what is."""


class SettingsError(UsageError):
    """A setting has a value that is not accepted."""


class AgentDefinitionError(UsageError):
    """The definition of an agent or a tool is not valid."""


class ToolNotServed(AgentDefinitionError):
    """A definition names a tool that is not served here."""


class NotAnAgent(AgentDefinitionError, TypeError):
    """The object is not an agent: it has no name, or one that is not text."""


class UnknownOption(AgentDefinitionError, TypeError):
    """A function has no such keyword; the message names the right one."""


class BrokenAgentModule(AgentDefinitionError):
    """Importing a module of HOLDFAST_AGENTS has raised an error in the user's code, which is the cause of this one."""


class UnknownAgent(UsageError, KeyError):
    """No agent has this name."""

    @classmethod
    def named(cls, name: str, known: Iterable[str], registered: Sequence[str] = ()) -> Self:
        """Returns the error for a name, with the most similar name and those that can be run.

        Args:
            name: the name that was asked for.
            known: names of the agents in code.
            registered: names of the registered agents.
        """
        known = sorted(known)
        similar = most_similar(name, [*registered, *known])
        advice = f" (did you mean {similar!r}?)" if similar else ""
        listed = [f"known: {_shown(known)}"] if known or not registered else []
        listed += [f"registered: {_shown(registered)}"] if registered else []
        return cls("; ".join([f"Agent {name!r} not found{advice}", *listed]))

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the repr


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return (", ".join(names[:SHOWN_NAMES]) or "none") + more


class RunExists(UsageError):
    """A run already has this id."""


class ApprovalRequired(UsageError):
    """A tool that is called without a run needs the approval of the person who calls it."""


class ToolCallFailed(HoldfastError):
    """A tool that was called without a run has failed; the message is the one that a model would read."""


class RunNotFound(HoldfastError):
    """No run has this id."""


class QueryRefused(HoldfastError):
    """A run cannot answer a query."""


class CommandRefused(HoldfastError):
    """A run refuses a command, which has changed nothing."""


class RunOver(CommandRefused):
    """The run has ended."""


class SessionOver(RunOver):
    """The session has ended; a fork of it can continue the conversation."""


class RunFailed(HoldfastError):
    """A run did not complete.

    Attributes:
        result: how it ended; `result.error` says why.
    """

    def __init__(self, result: RunResult) -> None:
        reason = result.error.message if result.error else "no reason was given"
        super().__init__(f"run {result.run_id!r} {result.status}: {reason}")
        self.result = result

    @classmethod
    def of(cls, result: RunResult) -> RunFailed:
        """Returns the error for a result, of the class that its type has."""
        kinds: dict[str, type[RunFailed]]
        kinds = {ErrorType.OUTPUT_INVALID: OutputInvalid, ErrorType.GUARD_BLOCKED: GuardBlocked}
        return kinds.get(result.error.type if result.error else "", RunFailed)(result)


class OutputInvalid(RunFailed):
    """The answer never had the form that the agent declares; `result.output` is the model's last text."""


class GuardBlocked(RunFailed):
    """A guard of the agent has blocked the input or the answer; the message says which, and why."""


class NoAnswer(HoldfastError):
    """An agent has not answered a message in a session; the message says why."""


class WaitTimedOut(HoldfastError, TimeoutError):
    """A run has not ended within the caller's timeout; it stays active."""


class Unavailable(HoldfastError):
    """A service that Holdfast needs is unavailable."""


class TemporalUnavailable(Unavailable):
    """The Temporal server is unavailable."""


class WorkerUnavailable(Unavailable):
    """No worker polls the task queue."""


class StoreUnavailable(Unavailable):
    """The store is unavailable or fails; a later attempt may succeed."""


class MCPServerUnavailable(Unavailable):
    """An MCP server cannot be started or reached; the message says why."""


class StoreLocked(StoreUnavailable):
    """Another process has the embedded database open."""


class MirrorGap(HoldfastError):
    """The mirror does not end where a batch begins.

    Attributes:
        expected: the seq of the entry that the mirror needs next; 0 if it must start from the beginning.
    """

    def __init__(self, message: str, expected: int) -> None:
        super().__init__(message)
        self.expected = expected


class MirrorDamaged(HoldfastError):
    """A row of the mirror is damaged; `doctor verify` names it, and `doctor rebuild` repairs it."""


class BundleDamaged(HoldfastError):
    """A file of `export` is truncated or altered.

    Attributes:
        line: number of the first wrong line, from 1.
    """

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class SubscriberTooSlow(HoldfastError):
    """A subscriber did not keep up with its topic, and its subscription was ended.

    Attributes:
        resume_after: offset of the last event that it received; a subscription after it misses no stored event.
    """

    def __init__(self, message: str, resume_after: int) -> None:
        super().__init__(message)
        self.resume_after = resume_after


class EventsPruned(SubscriberTooSlow):
    """Events after the requested offset have been deleted.

    Attributes:
        resume_after: a subscription after this offset receives the remaining events.
    """


class TranscriptUnavailable(HoldfastError):
    """The store does not have the context that a model call refers to."""


class PayloadUnreadable(HoldfastError):
    """A payload in Temporal or the database cannot be read: its key or a part of it is missing."""


class ModelError(HoldfastError):
    """A model call failed.

    Attributes:
        reason: why, in one word.
    """

    reason: FaultReason = FaultReason.REFUSED


class ModelUnavailable(ModelError):
    """A model call failed and may succeed if it is retried.

    Attributes:
        retry_after: seconds that the provider asks to wait; `None` if it names none.
        max_attempts: attempts after which this error is permanent; `None` means that it is an outage, which may last.
    """

    def __init__(
        self,
        message: str,
        retry_after: float | None = None,
        *,
        max_attempts: int | None = None,
        reason: FaultReason = FaultReason.SERVER_ERROR,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.max_attempts = max_attempts
        self.reason = reason


class ModelRefused(ModelError):
    """The provider rejects this request; retries do not help."""


class OutOfCredit(ModelRefused):
    """The account at the provider has no credit or budget."""

    reason = FaultReason.NO_CREDIT


class ContextOverflow(ModelError):
    """The context is larger than the model accepts.

    Attributes:
        limit: the most tokens that the provider accepts; `None` if it does not say so.
        size: the tokens of the request, as the provider counted them; likewise.
    """

    reason = FaultReason.CONTEXT_OVERFLOW

    def __init__(self, message: str, *, limit: int | None = None, size: int | None = None) -> None:
        super().__init__(message)
        self.limit = limit
        self.size = size
