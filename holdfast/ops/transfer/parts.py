"""The list of parts that can be exported besides runs; add new ones here."""

from __future__ import annotations

from datetime import datetime
from types import NoneType

from surrealdb import RecordID

from holdfast.ops.transfer.agents import Agents
from holdfast.ops.transfer.chunks import Chunks
from holdfast.ops.transfer.contents import Contents
from holdfast.ops.transfer.ledger import ledger_rows
from holdfast.ops.transfer.memories import Memories
from holdfast.ops.transfer.part import Part
from holdfast.ops.transfer.rows import Rows
from holdfast.ops.transfer.topics import Topics
from holdfast.ops.transfer.vectors import Vectors
from holdfast.storage.contents import SurrealContents
from holdfast.storage.conversations.surreal import TABLE as CONVERSATIONS
from holdfast.storage.database import Database
from holdfast.storage.files.surreal import TABLE, USES
from holdfast.storage.payloads.chunk_table import ChunkTable
from holdfast.storage.persistence import Persistence

CONVERSATION = {
    "run": (RecordID,),
    "chain": (str,),
    "agent": (str,),
    "head": (int,),
    "at": (datetime,),
    "messages": (int,),
    "text": (str,),
}
MEMORY_FILE = {"version": (str,), "data": (bytes,), "size": (int,), "key": (str, NoneType), "at": (datetime,)}


def parts_of(persistence: Persistence) -> list[Part]:
    """Returns the parts in the database of a persistence, in the order in which they must be loaded.

    Without a database there are none: everything except the mirror is in the memory of one process.
    """
    database = persistence.database
    if database is None or persistence.payloads is None:
        return []
    return [
        Chunks(database, persistence.payloads, "payloads"),
        Chunks(database, ChunkTable(database, TABLE), "files"),
        Rows(database, "file_uses", USES, {"at": (datetime,)}),
        Rows(database, "memory_folders", "memory_folder", {"agent": (str,)}),
        Rows(database, "memory_files", "memory_file", MEMORY_FILE),
        Agents(database),
        Vectors(database, persistence.vectors),
        Memories(database),  # after the vectors: a memory without its vector would be embedded again
        Topics(database),
        ledger_rows(database),
        contents_of(database),
        Rows(database, "conversations", CONVERSATIONS, CONVERSATION),
    ]


def contents_of(database: Database) -> Contents:
    """Returns the part with the contents of attachments, as they are stored."""
    return Contents(SurrealContents(database))
