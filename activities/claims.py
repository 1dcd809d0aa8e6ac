"""Claims of calls that must not take effect twice: a call begins only under its own claim in the ledger."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import threading
import time
import uuid

from holdfast.activities.tool_runner import BeginGuard
from holdfast.errors import StoreUnavailable
from holdfast.invocations import ToolInvocation
from holdfast.ports.ledger import CallKey, Ledger, LedgerEntry

CLAIM_TIMEOUT = 4.0  # seconds in which the store must acknowledge a claim
CLAIM_VALID = 5.0
"""Seconds after a claim was sent in which its call must begin. A worker that was frozen for longer asks again: another
attempt may have taken the claim over, which none does earlier than `TAKEOVER_AFTER`."""
TAKEOVER_AFTER = 10.0  # seconds after a claim


class NotBegun(Exception):
    """The call has not begun."""


class NotClaimed(NotBegun):
    """The store did not acknowledge the claim, although it may have been written."""


class ClaimExpired(NotBegun):
    """Too much time has passed since the claim."""


class ClaimedByAnother(NotBegun):
    """Another attempt has claimed the call.

    Attributes:
        entry: what the ledger knows of the call.
    """

    def __init__(self, entry: LedgerEntry) -> None:
        super().__init__(f"claimed by {entry.owner}")
        self.entry = entry


class Claim(BeginGuard):
    """The claim of one attempt.

    Args:
        ledger: the ledger.
        key: the call.
        tool: name of the tool.
        owner: identifies the attempt.
        instead_of: the owner whose claim it takes over.
    """

    def __init__(self, ledger: Ledger, key: CallKey, tool: str, owner: str, instead_of: str | None = None) -> None:
        self.owner = owner
        self.was_sent = False
        self.has_begun = False
        self._guard = threading.Lock()  # the call may begin in a thread while the attempt is cancelled
        self._ledger = ledger
        self._key = key
        self._tool = tool
        self._instead_of = instead_of
        self._valid_until = 0.0

    async def make(self) -> None:
        """Claims the call.

        Raises:
            ClaimedByAnother: another attempt has.
            NotClaimed: the store is unavailable.
        """
        sent, self.was_sent = time.monotonic(), True
        try:
            async with asyncio.timeout(CLAIM_TIMEOUT):
                entry = await self._ledger.claim(
                    self._key, owner=self.owner, tool=self._tool, instead_of=self._instead_of
                )
        except TimeoutError:
            raise NotClaimed(f"the store did not answer within {CLAIM_TIMEOUT:g} s") from None
        except StoreUnavailable as error:
            raise NotClaimed(str(error)) from error
        if entry.owner != self.owner or entry.result is not None:
            raise ClaimedByAnother(entry)
        self._valid_until = sent + CLAIM_VALID

    def check(self) -> None:
        """Lets the call begin.

        Raises:
            ClaimExpired: the claim is too old.
        """
        with self._guard:
            if time.monotonic() > self._valid_until:
                raise ClaimExpired
            self.has_begun = True

    def withdraw(self) -> bool:
        """Keeps the call from beginning; returns False if it has begun."""
        with self._guard:
            self._valid_until = 0.0
            return not self.has_begun


def new_owner() -> str:
    """Returns the identity of an attempt, which begins with its process for people who read the ledger."""
    return f"{os.getpid()}@{socket.gethostname()}/{uuid.uuid4().hex}"


def key_of(invocation: ToolInvocation) -> CallKey:
    """Returns the key of a call that needs a claim."""
    claim, call = invocation.claim, invocation.call
    assert claim is not None, "only calls that need a claim have a key"
    told = json.dumps([call.name, _canonical(call.arguments)])
    fingerprint = hashlib.sha256(told.encode()).hexdigest()
    return CallKey(invocation.run_id, claim.chain, claim.message, claim.index, fingerprint)


def _canonical(arguments: str) -> str:
    """Returns arguments in a form that does not depend on how the model wrote them."""
    try:
        return json.dumps(json.loads(arguments), sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        return arguments
