"""Everything that can travel beside runs: a new sort of things gets its line here."""

from __future__ import annotations

from holdfast.ops.transfer.agents import Agents
from holdfast.ops.transfer.memories import Memories
from holdfast.ops.transfer.part import Part
from holdfast.ops.transfer.payloads import Payloads
from holdfast.ops.transfer.rows import Rows
from holdfast.ops.transfer.topics import Topics
from holdfast.ops.transfer.vectors import Vectors
from holdfast.storage.persistence import Persistence


def parts_of(persistence: Persistence) -> list[Part]:
    """The parts of a persistence that stand in its database, in the order in which they must be loaded.

    Where there is no database, everything but the mirror is in the memory of one process, and goes with it.
    """
    database = persistence.database
    if database is None or persistence.payloads is None:
        return []
    return [
        Payloads(database, persistence.payloads),
        Agents(database),
        Vectors(database, persistence.vectors),
        Memories(database),  # after the vectors: one whose vector is not there is embedded anew
        Rows(database, "conversations", "conversation"),
        Rows(database, "forks", "forked", relation=True),
        Topics(database),
    ]
