"""A session: a client that is ready for statements and knows the dialect of its database."""

from __future__ import annotations

import re
from typing import Any, Generic

from holdfast.storage.database.dialect import Dialect, dialect_of
from holdfast.storage.database.endpoint import C
from holdfast.storage.database.errors import RequestRejected, StatementFailed, statement_error

STATEMENT_ERRORS = ("Parse error", "IAM error")
"""Prefixes of errors that the statement caused; any other error may be caused by the session."""
REMOVED = re.compile(r"The (database|namespace) '.*' does not exist")
"""A server's error after its database was removed; a new session creates it again, with the schema."""


class Session(Generic[C]):
    """A client of one database.

    Args:
        client: signed in, with its namespace and database selected.
    """

    def __init__(self, client: C) -> None:
        self.client = client
        self._dialect: Dialect | None = None

    async def execute(self, statement: str, **values: Any) -> list[Any]:
        """Runs one statement or one transaction and checks the status of each part.

        Raises:
            StatementFailed: a part failed, or the text is not a statement; the message is the database's.
            RequestRejected: the database ran nothing.
        """
        if self._dialect is None:
            self._dialect = await dialect_of(self._execute)
        return await self._execute(self._dialect.render(statement), **values)

    async def _execute(self, statement: str, **values: Any) -> list[Any]:
        parts = await self._ask(statement, values)
        if failures := [str(part["result"]) for part in parts if part["status"] != "OK"]:
            error = statement_error(failures)
            raise RequestRejected(str(error)) if REMOVED.match(str(error)) else error
        return [part["result"] for part in parts]

    async def _ask(self, statement: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        try:
            answer = await self.client.query_raw(statement, values)
        except RuntimeError as error:
            text = str(error).removeprefix("There was a problem with the database: ")
            if text.startswith(STATEMENT_ERRORS):
                raise StatementFailed(text) from None
            raise
        if refused := answer.get("error"):
            text = str(refused.get("message", refused))
            raise StatementFailed(text) if text.startswith(STATEMENT_ERRORS) else RequestRejected(text)
        return list(answer["result"])
