"""Requests to run a statement, encoded by `cbor`."""

from __future__ import annotations

from itertools import count
from typing import Any
from uuid import UUID

from surrealdb.request_message.message import RequestMessage
from surrealdb.request_message.methods import RequestMethod

from holdfast.storage.database import cbor

_NUMBERS = count(1)


class QueryMessage(RequestMessage):
    """A request to run a statement.

    Args:
        statement: SurrealQL.
        values: the values of `$name` in it.
        session_id: the session to run it in; `None` means that of the connection.
        txn_id: the transaction to run it in; `None` means one of its own.
    """

    def __init__(
        self,
        statement: str,
        values: dict[str, Any] | None,
        session_id: UUID | None = None,
        txn_id: UUID | None = None,
    ) -> None:
        # Not the client's `__init__`, which makes a UUID: an id needs to be unique on its connection.
        self.id, self.method, self.kwargs = str(next(_NUMBERS)), RequestMethod.QUERY, {}
        self._request = {"id": self.id, "method": self.method.value, "params": [statement, values or {}]}
        self._request |= {name: str(each) for name, each in (("session", session_id), ("txn", txn_id)) if each}

    @property
    def WS_CBOR_DESCRIPTOR(self) -> bytes:  # type: ignore[override]  # noqa: N802 - the client's name, for all transports
        """The request in CBOR."""
        return cbor.encode(self._request)
