"""Ports of this machine."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection
from pathlib import Path

LOOPBACK = "127.0.0.1"
NOT_EPHEMERAL = range(20_000, 32_000)  # Linux gives away ports from 32,768 on, other systems from 49,152 on
LISTEN = "0A"  # as /proc/net/tcp writes this state
CONNECT_TIMEOUT = 0.5  # seconds; loopback answers or refuses at once


def is_free(port: int) -> bool:
    """Returns whether a server could listen on this port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as servers do, so that a port in TIME_WAIT counts as free
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return not answers(port)  # some systems allow a second listener on all addresses


def answers(port: int) -> bool:
    """Returns whether a server accepts connections on this port."""
    with socket.socket() as probe:
        probe.settimeout(CONNECT_TIMEOUT)
        return probe.connect_ex((LOOPBACK, port)) == 0


def is_served_by(pid: int, port: int) -> bool:
    """Returns whether a process listens on this port, of any address; True also where the system does not tell."""
    tables = [table for table in map(Path, ("/proc/net/tcp", "/proc/net/tcp6")) if table.exists()]
    if not tables:
        return True
    rows = (line.split() for table in tables for line in table.read_text().splitlines()[1:])
    listening = {
        f"socket:[{row[9]}]" for row in rows if row[3] == LISTEN and int(row[1].rpartition(":")[2], 16) == port
    }
    return any(_target(link) in listening for link in Path(f"/proc/{pid}/fd").glob("*"))


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def choose(preferred: int, taken: Collection[int] = ()) -> int:
    """Returns the preferred port if it is free, else another free port that is not in `taken`.

    It is not one that systems give to connections and to servers that ask for any port: one of those could take it
    while a server that has ended is being started again.
    """
    port = preferred
    while port in taken or not is_free(port):
        port = random.choice(NOT_EPHEMERAL)  # noqa: S311 - not a secret
    return port
