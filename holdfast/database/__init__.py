"""SurrealDB, in this process or on a server: connections, schema, statements."""

from __future__ import annotations

from pathlib import Path

from holdfast.database.connection import Overtaken, StatementFailed
from holdfast.database.database import Database, SurrealDatabase
from holdfast.database.embedded import MemoryEndpoint, PathEndpoint
from holdfast.database.server import ServerEndpoint
from holdfast.errors import UsageError

__all__ = ["Database", "Overtaken", "StatementFailed", "open_database"]

KNOWN = "mem://, surrealkv://PATH, ws://HOST:PORT, wss://HOST:PORT"


def open_database(
    url: str,
    *,
    namespace: str = "sentient_core",
    database: str = "agents",
    username: str | None = None,
    password: str | None = None,
) -> Database:
    """Gives the database that a URL names; it connects when it is first used.

    Args:
        url: `mem://` (in this process, in memory), `surrealkv://PATH` (in this process, on files), `ws://` or
            `wss://` (a SurrealDB server).
        namespace: SurrealDB's namespace.
        database: SurrealDB's database.
        username: a user of the server, the namespace or the database; None: do not sign in.
        password: of that user.

    Raises:
        UsageError: the URL is none of these.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or (scheme == "surrealkv" and not rest):
        raise UsageError(f"database URL {url!r} is not complete; known: {KNOWN}")
    match scheme:
        case "mem":
            return SurrealDatabase(MemoryEndpoint(namespace, database))
        case "surrealkv":
            return SurrealDatabase(PathEndpoint(Path(rest).absolute(), namespace, database))
        case "ws" | "wss":
            return SurrealDatabase(ServerEndpoint(url, namespace, database, username, password))
    raise UsageError(f"database URL {url!r} has an unknown scheme; known: {KNOWN}")
