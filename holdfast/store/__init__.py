"""Stores: where the mirror of every run is kept."""

from __future__ import annotations

from pathlib import Path

from holdfast.errors import UsageError
from holdfast.ports import Store
from holdfast.store.embedded import MemoryEndpoint, PathEndpoint
from holdfast.store.memory import MemoryStore
from holdfast.store.server import ServerEndpoint
from holdfast.store.surreal import SurrealStore

__all__ = ["open_store"]

KNOWN = "memory://, mem://, surrealkv://PATH, ws://HOST:PORT, wss://HOST:PORT"


def open_store(
    url: str,
    *,
    namespace: str = "sentient_core",
    database: str = "agents",
    username: str | None = None,
    password: str | None = None,
) -> Store:
    """Gives the store that a URL names; it connects when it is first used.

    Args:
        url: `memory://` (dictionaries in this process), `mem://` (SurrealDB in this process, in memory),
            `surrealkv://PATH` (SurrealDB in this process, on files), `ws://` or `wss://` (a SurrealDB server).
        namespace: SurrealDB's namespace.
        database: SurrealDB's database.
        username: a user of the server, the namespace or the database; None: do not sign in.
        password: of that user.

    Raises:
        UsageError: the URL is none of these.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or (scheme == "surrealkv" and not rest):
        raise UsageError(f"store URL {url!r} is not complete; known: {KNOWN}")
    match scheme:
        case "memory":
            return MemoryStore()
        case "mem":
            return SurrealStore(MemoryEndpoint(namespace, database))
        case "surrealkv":
            return SurrealStore(PathEndpoint(Path(rest).absolute(), namespace, database))
        case "ws" | "wss":
            return SurrealStore(ServerEndpoint(url, namespace, database, username, password))
    raise UsageError(f"store URL {url!r} has an unknown scheme; known: {KNOWN}")
