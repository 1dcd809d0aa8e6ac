"""Every error that Holdfast raises, in one tree.

HoldfastError
├── UsageError                 wrong use: the message says what is accepted
│   ├── SettingsError          a setting has a bad value
│   ├── AgentDefinitionError   an agent or a tool is defined wrongly
│   │   └── NotAnAgent         it has no name that is text (also a TypeError)
│   ├── UnknownAgent           no such agent (also a KeyError)
│   └── RunExists              the run id is taken
├── RunNotFound                no run has this id
├── QueryRefused               a run cannot answer a question
├── RunFailed                  the run did not end well; carries its RunResult
├── WaitTimedOut               the caller's patience ended; the run goes on
├── Unavailable                something that Holdfast stands on is away
│   ├── TemporalUnavailable
│   ├── StoreUnavailable
│   │   └── StoreLocked        another process holds the embedded database
│   └── WorkerUnavailable      no worker polls the task queue
├── MirrorGap                  the mirror lacks entries before the batch
├── MirrorDamaged              a row of the mirror cannot be read; `doctor rebuild` writes it anew
├── BundleDamaged              a file to be imported is cut short or altered
├── SubscriberTooSlow          a subscriber of the event bus did not keep up
│   └── EventsPruned           what it would have got next is no longer there
├── PayloadUnreadable          a payload's bytes or its key are missing
├── TranscriptUnavailable      the store cannot give the context that a model call refers to
└── ModelError                 a model call failed
    ├── ModelUnavailable       worth another attempt, now or after `retry_after`
    ├── ModelRefused           the provider will not answer this request, however often it is asked
    └── ContextOverflow        the context is larger than the model takes

`ErrorType` names those that cross the Temporal boundary.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.types import RunResult


NOT_YET = "this worker has not been given the newest workflow task of the run yet: ask again"
"""A worker's answer to a query that came before the workflow task that it needs; see `FaithfulRunner`."""


class ErrorType(enum.StrEnum):
    """`ApplicationError.type` of failures, defined once for those who raise and those who handle."""

    INVALID_REQUEST = "InvalidRunRequest"
    UNKNOWN_AGENT = "UnknownAgent"
    UNKNOWN_WORKFLOW = "UnknownWorkflowType"
    MODEL_UNAVAILABLE = "ModelUnavailable"
    MODEL_REFUSED = "ModelRefused"
    CONTEXT_OVERFLOW = "ContextOverflow"
    REPLY_TOO_LARGE = "ReplyTooLarge"
    TRANSCRIPT_UNAVAILABLE = "TranscriptUnavailable"
    MIRROR_GAP = "MirrorGap"
    STORE_UNAVAILABLE = "StoreUnavailable"
    MAX_TURNS = "MaxTurnsExceeded"
    TIMED_OUT = "RunTimedOut"
    CANCELLED = "RunCancelled"
    TERMINATED = "RunTerminated"
    INTERNAL = "InternalError"


class HoldfastError(Exception):
    """Base of every error raised by Holdfast."""


class UsageError(HoldfastError, ValueError):
    """Something was used wrongly; the message says what is accepted."""


class SettingsError(UsageError):
    """A setting has a value that is not accepted."""


class AgentDefinitionError(UsageError):
    """An agent or a tool is defined in a way that cannot work."""


class NotAnAgent(AgentDefinitionError, TypeError):
    """What was given is no agent: it has no name, or one that is not text."""


class UnknownAgent(UsageError, KeyError):
    """No agent of this name is known."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the repr


class RunExists(UsageError):
    """A run with this id exists already."""


class RunNotFound(HoldfastError):
    """No run has this id."""


class QueryRefused(HoldfastError):
    """A run cannot answer a question."""


class RunFailed(HoldfastError):
    """A run did not end well.

    Attributes:
        result: how it ended; `result.error` says why.
    """

    def __init__(self, result: RunResult) -> None:
        reason = result.error.message if result.error else "no reason was given"
        super().__init__(f"run {result.run_id!r} {result.status}: {reason}")
        self.result = result


class WaitTimedOut(HoldfastError, TimeoutError):
    """The caller stopped waiting; the run goes on."""


class Unavailable(HoldfastError):
    """Something that Holdfast stands on is away."""


class TemporalUnavailable(Unavailable):
    """No Temporal server answers."""


class WorkerUnavailable(Unavailable):
    """No worker polls the task queue."""


class StoreUnavailable(Unavailable):
    """The store cannot be reached or refuses to work; trying again later may help."""


class StoreLocked(StoreUnavailable):
    """Another process holds the embedded database."""


class MirrorGap(HoldfastError):
    """The mirror does not end where the batch begins.

    Attributes:
        expected: the seq of the entry that the mirror needs next; 0 when it must start over.
    """

    def __init__(self, message: str, expected: int) -> None:
        super().__init__(message)
        self.expected = expected


class MirrorDamaged(HoldfastError):
    """A row of the mirror is not what was written; `doctor verify` names it, `doctor rebuild` writes it anew."""


class BundleDamaged(HoldfastError):
    """A file of `export` is cut short, or was altered.

    Attributes:
        line: where it shows, from 1.
    """

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class SubscriberTooSlow(HoldfastError):
    """A subscriber did not keep up with its topic, and was let go.

    Attributes:
        resume_after: the offset of the last event that it got; subscribing after it loses nothing that is kept.
    """

    def __init__(self, message: str, resume_after: int) -> None:
        super().__init__(message)
        self.resume_after = resume_after


class EventsPruned(SubscriberTooSlow):
    """Events after the offset from which a topic was to be read are no longer kept.

    Attributes:
        resume_after: subscribing after it gives what is left.
    """


class TranscriptUnavailable(HoldfastError):
    """The store cannot give the context that a model call refers to."""


class PayloadUnreadable(HoldfastError):
    """What stands in Temporal or in the database cannot be read: its key is not here, or a part of it is gone."""


class ModelError(HoldfastError):
    """A model call failed."""


class ModelUnavailable(ModelError):
    """The call may succeed if made again.

    Attributes:
        retry_after: seconds that the provider asks to wait; None when it does not say.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ModelRefused(ModelError):
    """The provider will not answer this request, however often it is asked."""


class ContextOverflow(ModelError):
    """The context is larger than the model takes."""
