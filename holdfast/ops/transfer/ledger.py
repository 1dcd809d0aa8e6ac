"""Export and import of the ledger of tool calls. Encrypted results stay encrypted."""

from __future__ import annotations

from datetime import datetime
from types import NoneType

from holdfast.ops.transfer.rows import Rows
from holdfast.storage.database import Database
from holdfast.storage.ledger.surreal import TABLE

COLUMNS = {
    "tool": (str,),
    "owner": (str,),
    "at": (datetime,),
    "result": (bytes, NoneType),
    "given_up": (datetime, NoneType),
    "ended": (datetime, NoneType),
}


def ledger_rows(database: Database) -> Rows:
    """Returns the part with the ledger, whose entries keep the time of their claim."""
    return Rows(database, TABLE, TABLE, COLUMNS)
