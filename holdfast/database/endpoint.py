"""Where a SurrealDB is, and how to get a client of it."""

from __future__ import annotations

from typing import Protocol

from surrealdb import AsyncWsSurrealConnection

Client = AsyncWsSurrealConnection
"""The embedded client is a subclass."""


class Endpoint(Protocol):
    """Gives clients of one database, one at a time. Shown as text, it is the address without secrets."""

    patience: float | None
    """Seconds that a caller waits at most; None: for as long as it takes."""
    dial_deadline: float | None
    statement_deadline: float | None
    lasting: bool
    """Whether the data outlives the client, so that a client that has failed may be thrown away."""
    trusted: bool
    """Whether a client is sound after it has refused a statement."""

    async def dial(self) -> Client:
        """Makes a client that is ready for statements."""
        ...

    async def hang_up(self, client: Client, *, failed: bool) -> None:
        """Closes a client, whatever state it is in; `failed` says that it gave cause to."""

    def release(self) -> None:
        """Lets go of what is held between clients."""
