"""A client over HTTP that keeps its connections and reports errors in full."""

from __future__ import annotations

from typing import Any

import httpx2
from surrealdb import AsyncHttpSurrealConnection
from surrealdb.request_message.message import RequestMessage

from holdfast.storage.database import cbor
from holdfast.storage.database.query_message import QueryMessage

TYPE = "application/cbor"
EXPIRED = 401


class TokenRefused(Exception):
    """The server rejects the token, or it has expired."""


class HttpClient(AsyncHttpSurrealConnection):
    """Sends requests over connections that are kept open.

    The package's own client opens a connection for each request, has a fixed timeout, and discards the server's message
    when it rejects a request.

    Args:
        url: `http://` or `https://`, with the path.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._address = url
        uses_tls = url.startswith("https:")  # if not, certificates need not be loaded, which takes 25 ms
        self._http = httpx2.AsyncClient(timeout=None, verify=uses_tls)  # callers set deadlines

    async def query_raw(self, query: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Runs a statement."""
        return await self._send(QueryMessage(query, params), "query", bypass=True)

    async def _send(self, message: RequestMessage, operation: str, bypass: bool = False) -> dict[str, Any]:
        response = await self._http.post(self._address, content=message.WS_CBOR_DESCRIPTOR, headers=self._headers())
        if response.status_code == EXPIRED:
            raise TokenRefused(response.text)
        response.raise_for_status()
        answer: dict[str, Any] = cbor.decode(response.content)
        if not bypass:
            self.check_response_for_error(answer, operation)
        return answer

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": TYPE, "Content-Type": TYPE}
        if self.namespace and self.database:
            headers |= {"Surreal-NS": self.namespace, "Surreal-DB": self.database}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers

    async def disconnect(self) -> None:
        """Closes the connections."""
        await self._http.aclose()
