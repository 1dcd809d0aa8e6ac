"""SurrealDB, in this process or on a server: connections, schema, statements."""

from __future__ import annotations

from pathlib import Path

from holdfast.errors import UsageError
from holdfast.storage.database.database import Database, SurrealDatabase
from holdfast.storage.database.embedded import MemoryEndpoint, PathEndpoint
from holdfast.storage.database.errors import StatementFailed, WriteConflict
from holdfast.storage.database.old_rows import old_rows
from holdfast.storage.database.remote import HttpEndpoint, Login, WebsocketEndpoint
from holdfast.storage.database.retries import retry_conflicts
from holdfast.storage.database.shared import SharedDatabase
from holdfast.storage.database.watches import Watch

__all__ = [
    "KNOWN",
    "SCHEMES",
    "Database",
    "StatementFailed",
    "SurrealDatabase",
    "Watch",
    "WriteConflict",
    "old_rows",
    "open_database",
    "retry_conflicts",
]

SCHEMES = frozenset(["mem", "surrealkv", "ws", "wss", "http", "https"])
KNOWN = "mem://, surrealkv://PATH, ws://HOST:PORT, wss://HOST:PORT, http://HOST:PORT, https://HOST:PORT"


def open_database(
    url: str,
    *,
    namespace: str = "sentient_core",
    database: str = "agents",
    username: str | None = None,
    password: str | None = None,
    shared: bool = False,
) -> Database:
    """Returns the database that a URL names; it connects on first use.

    Args:
        url: `mem://` (embedded, in memory), `surrealkv://PATH` (embedded, on files), `ws://` or `wss://` (a SurrealDB
            server), `http://` or `https://` (a server behind a network that blocks websockets; `read` and `watch` need
            a websocket and still try one at the same address).
        namespace: SurrealDB's namespace.
        database: SurrealDB's database.
        username: a user of the server, the namespace or the database; `None` does not sign in.
        password: the user's password.
        shared: whether other processes may use `surrealkv://PATH` at the same time, through the process that opened it
            first; otherwise they get `StoreLocked`.

    Raises:
        UsageError: the URL is none of these, or a name is empty or cannot be sent.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or (scheme == "surrealkv" and not rest):
        raise UsageError(f"database URL {url!r} is incomplete: use one of {KNOWN}")
    if not namespace or not database:
        raise UsageError("SURREALDB_NAMESPACE and SURREALDB_DATABASE must not be empty")
    login = Login(namespace, database, username, password)
    match scheme:
        case "mem":
            return SurrealDatabase(MemoryEndpoint(namespace, database))
        case "surrealkv":
            path = Path(rest).absolute()
            endpoint = PathEndpoint(path, namespace, database)
            engine = SurrealDatabase(endpoint)
            return SharedDatabase(path, endpoint, engine) if shared else engine
        case "ws" | "wss":
            return SurrealDatabase(WebsocketEndpoint(url, login))
        case "http" | "https":
            return SurrealDatabase(HttpEndpoint(url, login))
    raise UsageError(f"database URL {url!r} has an unknown scheme: use one of {KNOWN}")
