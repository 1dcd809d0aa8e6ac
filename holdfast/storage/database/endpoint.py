"""Where a SurrealDB is, and how to get a client of it."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar


class Client(Protocol):
    """What all clients of the `surrealdb` package can do: one request, and the answer as it came."""

    async def query_raw(self, query: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Runs a statement; statuses and errors are in the answer."""
        ...


C = TypeVar("C", bound=Client)


class Endpoint(Protocol, Generic[C]):
    """Gives clients of one database. Shown as text, it is the address without secrets."""

    max_connections: int
    """Statements that may run at once, each on a client of its own."""
    call_deadline: float | None
    """Seconds that a caller waits at most; None: for as long as it takes."""
    dial_deadline: float | None
    statement_deadline: float | None
    durable: bool
    """Whether the data outlives the client, so that a client that has failed may be thrown away."""
    survives_failure: bool
    """Whether a client is sound after it has refused a statement."""

    async def dial(self) -> C:
        """Makes a client that is ready for statements."""
        ...

    async def disconnect(self, client: C, *, failed: bool) -> None:
        """Closes a client, whatever state it is in; `failed` says that it gave cause to."""

    def release(self) -> None:
        """Lets go of what is held between clients."""
