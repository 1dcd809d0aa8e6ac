"""The client over HTTP, with what it lacks."""

from __future__ import annotations

from typing import Any

import httpx2
from surrealdb import AsyncHttpSurrealConnection
from surrealdb.data.cbor import decode
from surrealdb.request_message.message import RequestMessage

TYPE = "application/cbor"
EXPIRED = 401


class TokenRefused(Exception):
    """The server does not take the token, or takes it no longer."""


class HttpClient(AsyncHttpSurrealConnection):
    """Requests to a server, over connections that are kept.

    The client of the package opens a connection for each request, has a timeout of its own, and drops what the server
    says about a request that it refuses.

    Args:
        url: `http://` or `https://`, with the path.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._address = url
        self._http = httpx2.AsyncClient(timeout=None)  # every call here has a deadline

    async def _send(self, message: RequestMessage, operation: str, bypass: bool = False) -> dict[str, Any]:
        response = await self._http.post(self._address, content=message.WS_CBOR_DESCRIPTOR, headers=self._headers())
        if response.status_code == EXPIRED:
            raise TokenRefused(response.text)
        response.raise_for_status()
        answer: dict[str, Any] = decode(response.content)
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
