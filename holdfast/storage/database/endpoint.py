"""The endpoint of a database: its address, its limits, and how to open a client."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar


class Client(Protocol):
    """The part of the `surrealdb` package's clients that all of them share."""

    async def query_raw(self, query: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Runs a statement; returns the raw answer, with statuses and errors."""
        ...


C = TypeVar("C", bound=Client)


class Endpoint(Protocol, Generic[C]):
    """Opens clients of one database. Its text form is the address without secrets."""

    max_connections: int
    """Statements that may run at once, each on its own client."""
    call_deadline: float | None
    """Seconds that a caller waits at most; `None` means no limit."""
    dial_deadline: float | None
    """Seconds for each answer while a client is opened; `dial` raises TimeoutError."""
    statement_deadline: float | None
    durable: bool
    """Whether the data outlives the client, so that a failed client may be replaced."""
    survives_failure: bool
    """Whether a client is usable after it has rejected a statement."""

    async def dial(self) -> C:
        """Returns a new client that is ready for statements."""
        ...

    async def disconnect(self, client: C, *, failed: bool) -> None:
        """Closes a client in any state; `failed` says whether it is closed because of an error."""

    def release(self) -> None:
        """Releases what the endpoint holds between clients, such as a lock."""
