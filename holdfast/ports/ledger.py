"""The port of the ledger of tool calls that must not take effect twice."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from holdfast.types import RunId


@dataclass(frozen=True, slots=True)
class CallKey:
    """Identifies a call: the same in each attempt, and after a reset of its run to an earlier point."""

    run_id: RunId
    chain: str
    """The run's chain, as in `CarriedState.chain`."""
    message: int
    """`seq` of the transcript message that asked for the call."""
    index: int
    """Place of the call in that message, from 0."""
    fingerprint: str
    """Digest of the tool and the arguments: after a reset, the model may ask for another call at the same place."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What the ledger knows of a call."""

    owner: str
    """Who claimed the call."""
    age: float
    """Seconds since it was claimed."""
    result: bytes | None = None
    """The recorded result; `None` means that the call may have begun, and has not ended as far as is known."""


@dataclass(frozen=True, slots=True)
class LostCall:
    """A call whose outcome was reported as unknown."""

    message: int
    """As in `CallKey`."""
    index: int
    """As in `CallKey`."""
    tool: str
    is_recorded: bool
    """Whether its result was recorded afterwards."""

    def __str__(self) -> str:
        known = "its result was recorded later" if self.is_recorded else "nobody knows whether it took effect"
        return f"call {self.index} of message {self.message} ({self.tool}) was lost with its worker: {known}"


class Recorded(enum.Enum):
    """What became of a result."""

    IN_TIME = "in time"
    LATE = "late"
    """It is kept, but the call had been given up before."""
    REFUSED = "refused"
    """The call has another owner, or none."""


@runtime_checkable
class Ledger(Protocol):
    """Remembers which calls have begun, and their results. What it has acknowledged survives the process.

    Every method may raise StoreUnavailable; a write may have been stored nevertheless.
    """

    async def claim(self, key: CallKey, *, owner: str, tool: str, instead_of: str | None = None) -> LedgerEntry:
        """Claims a call unless it is claimed already, and returns its entry; `owner` in it tells whose claim it is.

        Args:
            key: the call.
            owner: identifies the attempt that is about to begin the call.
            tool: name of the tool, for people.
            instead_of: an owner whose claim is taken over, if it has no result yet.
        """
        ...

    async def record(self, key: CallKey, *, owner: str, result: bytes) -> Recorded:
        """Records the result of a call under its owner's claim.

        The first result stays: recording again changes nothing.
        """
        ...

    async def give_up(self, key: CallKey, *, owner: str) -> LedgerEntry | None:
        """Marks the call of an owner as given up unless it has a result, and returns its entry; `None` if it has none.

        A result that is recorded afterwards is late.
        """
        ...

    async def find(self, key: CallKey) -> LedgerEntry | None:
        """Returns the entry of a call; `None` means that it is not claimed, so it has certainly not begun."""
        ...

    async def lost(self, run_id: RunId, chain: str) -> list[LostCall]:
        """Returns the calls of a run that were given up, in the order of their places."""
        ...

    async def delete(self, run_id: RunId, chain: str) -> None:
        """Deletes the entries of a run, if there are any."""

    async def prune(self, before: datetime) -> int:
        """Deletes entries that were claimed before a time, and returns their number."""
        ...
