"""A client that is ready for statements, and knows the dialect of its database."""

from __future__ import annotations

import re
from typing import Any, Generic

from holdfast.storage.database.dialect import Dialect, dialect_of
from holdfast.storage.database.endpoint import C
from holdfast.storage.database.errors import RequestRejected, StatementFailed, statement_error

NOT_UNDERSTOOD = ("Parse error", "IAM error")
"""How the database begins what is the statement's own fault; anything else may be its session's."""
GONE = re.compile(r"The (database|namespace) '.*' does not exist")
"""What a server says once somebody has removed it: a new session makes it again, with its schema."""


class Session(Generic[C]):
    """A client of one database.

    Args:
        client: signed in, with its namespace and database selected.
    """

    def __init__(self, client: C) -> None:
        self.client = client
        self._dialect: Dialect | None = None

    async def execute(self, statement: str, **values: Any) -> list[Any]:
        """Runs one statement, or one transaction, and checks the status of each part.

        Raises:
            StatementFailed: a part failed, or the text is no statement; the message is the database's.
            RequestRejected: nothing was run.
        """
        if self._dialect is None:
            self._dialect = await dialect_of(self._execute)
        return await self._execute(self._dialect.spell(statement), **values)

    async def _execute(self, statement: str, **values: Any) -> list[Any]:
        parts = await self._ask(statement, values)
        if failures := [str(part["result"]) for part in parts if part["status"] != "OK"]:
            said = statement_error(failures)
            raise RequestRejected(str(said)) if GONE.match(str(said)) else said
        return [part["result"] for part in parts]

    async def _ask(self, statement: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        try:
            answer = await self.client.query_raw(statement, values)
        except RuntimeError as error:
            text = str(error).removeprefix("There was a problem with the database: ")
            if text.startswith(NOT_UNDERSTOOD):
                raise StatementFailed(text) from None
            raise
        if refused := answer.get("error"):
            text = str(refused.get("message", refused))
            raise StatementFailed(text) if text.startswith(NOT_UNDERSTOOD) else RequestRejected(text)
        return list(answer["result"])
