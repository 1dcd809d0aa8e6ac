"""Requests to hosts that models name, which must not reach what only the worker can reach."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from holdfast import _lazy
from holdfast.agents.tool import ToolError
from holdfast.http_access import HttpAccess
from holdfast.tools.addresses import refusal
from holdfast.tools.web_address import WebAddress

if TYPE_CHECKING:
    import httpx2
else:  # a tenth of a second, which scripts that only define agents do without
    httpx2 = _lazy.load("httpx2")

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the IP addresses of a host."""

DEADLINE = 30.0  # seconds for everything: names, redirects, the whole body
CONNECT_TIMEOUT = 5.0  # seconds for one address of several
MAX_BYTES = 5 * 1024 * 1024  # of a body after decoding; a long page has some hundred thousand
MAX_REDIRECTS = 5
RESOLVER_THREADS = 8  # name lookups at once; one of a broken name server takes up to half a minute
USER_AGENT = "Holdfast"

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip"})


@dataclass(frozen=True)
class WebRequest:
    """What to ask of which address."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def redirected(self, status: int, address: WebAddress, *, same_host: bool) -> WebRequest:
        """Returns the request that follows a redirect, as browsers do; headers stay with the host that they are for."""
        headers = self.headers if same_host else {}
        if status == 303 or (status in (301, 302) and self.method == "POST"):
            return WebRequest(address.url, headers=headers)
        return replace(self, url=address.url, headers=headers)


@dataclass(frozen=True)
class Fetched:
    """An answer, whatever its status."""

    url: str
    """Where it came from, after redirects."""
    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool
    """Whether the body ended within the limit."""

    @property
    def media_type(self) -> str:
        """What the server says that it is, as `text/html`; empty if it says nothing."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


async def resolve(host: str, port: int) -> Sequence[str]:
    """Returns the IP addresses of a host from the system's resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(_resolver(), lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Fetcher:
    """Sends requests to public addresses, and to private ones of the hosts that the worker's settings name.

    Each host is resolved once, all of its addresses are checked, and the connection goes to an address that was
    checked. Redirects are followed here, so that each is checked in the same way. Proxies, cookies and passwords of
    the worker's environment are not used.

    Args:
        access: the hosts that may be reached.
        resolve: finds the addresses of a host.
        deadline: seconds for a request with its redirects.
        max_bytes: of a body, after decoding; the rest is not read.
    """

    def __init__(
        self,
        access: HttpAccess,
        *,
        resolve: Resolve = resolve,
        deadline: float = DEADLINE,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._access = access
        self._resolve = resolve
        self._deadline = deadline
        self._max_bytes = max_bytes

    async def fetch(self, request: WebRequest) -> Fetched:
        """Sends a request and returns the answer, after at most MAX_REDIRECTS redirects.

        Raises:
            ToolError: there is no answer; the message says why, and what to do.
        """
        try:
            async with asyncio.timeout(self._deadline):
                return await self._follow(request)
        except TimeoutError:
            advice = "try a smaller document or another source" if request.method == "GET" else _MAY_HAVE_ACTED
            raise ToolError(f"{request.url} did not answer in full within {self._deadline:g} s: {advice}") from None

    async def _follow(self, request: WebRequest) -> Fetched:
        for _ in range(MAX_REDIRECTS + 1):
            address = WebAddress.parse(request.url)
            answer = await self._ask(request, address)
            if isinstance(answer, Fetched):
                return answer
            status, target = answer
            following = address.joined(target)
            request = request.redirected(status, following, same_host=following.origin == address.origin)
        raise ToolError(f"more than {MAX_REDIRECTS} redirects, the last one to {request.url}: use another source")

    async def _ask(self, request: WebRequest, address: WebAddress) -> Fetched | tuple[int, str]:
        """Returns the answer, or the status and the target of a redirect."""
        checked = await self._checked(address)
        transport = httpx2.AsyncHTTPTransport(verify=await asyncio.to_thread(_tls), trust_env=False)
        async with httpx2.AsyncClient(transport=transport, trust_env=False, timeout=_timeout(self._deadline)) as client:
            try:
                response = await _sent(client, request, address, checked)
                try:
                    target = response.headers.get("location")
                    if response.status_code in _REDIRECTS and target:
                        return response.status_code, target
                    body, is_whole = await self._body(response)
                finally:
                    await response.aclose()
            except httpx2.HTTPError as error:
                raise _explained(error, request, address) from None
        return Fetched(address.url, response.status_code, dict(response.headers), body, is_whole)

    async def _checked(self, address: WebAddress) -> Sequence[str]:
        """Returns the addresses of a host, all of which may be connected to."""
        host, port = address.host, address.port
        if not self._access.admits(host, port):
            raise _not_admitted(host, self._access)
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError):
            found = ()
        if not found:
            raise ToolError(f"the host {host!r} cannot be found: check its spelling, or use another source")
        private = self._access.may_be_private(host, port)
        if reason := next(filter(None, (refusal(one, private=private) for one in found)), None):
            raise ToolError(
                f"the host {host!r} has {reason}, which this tool does not connect to: use a public source, or tell "
                "the user that HTTP_PRIVATE_HOSTS of the worker can allow private addresses of a host"
            )
        return found

    async def _body(self, response: httpx2.Response) -> tuple[bytes, bool]:
        encoding = response.headers.get("content-encoding", "").strip().lower()
        if encoding not in _ENCODINGS:
            raise ToolError(f"the server answers in the encoding {encoding!r:.40}, which was not asked for")
        body = _Body(self._max_bytes, is_compressed=encoding not in ("", "identity"))
        async for data in response.aiter_raw():
            if not body.add(data):
                break
        return bytes(body.data), body.is_whole


class _Body:
    """The bytes of a body after decoding, up to a limit, which neither they nor the encoded ones exceed."""

    def __init__(self, limit: int, *, is_compressed: bool) -> None:
        self.data = bytearray()
        self.is_whole = True
        self._limit = limit
        self._encoded = 0
        self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 16) if is_compressed else None  # 16: gzip

    def add(self, data: bytes) -> bool:
        """Adds encoded bytes, and returns whether there is room for more."""
        room = self._limit - len(self.data)
        self._encoded += len(data)
        if self._decoder is not None:
            try:
                data = self._decoder.decompress(data, room + 1)
            except zlib.error as error:
                raise ToolError(f"the answer cannot be decoded ({error}): use another source") from None
        self.data += data[:room]
        self.is_whole = len(data) <= room and self._encoded <= self._limit
        return self.is_whole and not (self._decoder and self._decoder.eof)


_MAY_HAVE_ACTED = "the request may have taken effect, so find out before you repeat it"


async def _sent(
    client: httpx2.AsyncClient, request: WebRequest, address: WebAddress, checked: Sequence[str]
) -> httpx2.Response:
    """Sends a request to the first address that accepts connections, and returns the answer without its body."""
    headers = {
        "User-Agent": USER_AGENT,
        "Accept": "*/*",
        **request.headers,
        "Accept-Encoding": "gzip",
        "Host": address.host_header,
    }
    for ip in checked:
        built = client.build_request(
            request.method,
            address.at(ip),
            headers=headers,
            content=request.body or None,
            extensions={"sni_hostname": address.host},
        )
        try:
            return await client.send(built, stream=True, follow_redirects=False)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            if ip == checked[-1]:
                raise
    raise AssertionError("a host has at least one address")


def _explained(error: httpx2.HTTPError, request: WebRequest, address: WebAddress) -> ToolError:
    host, reason = address.host, str(error) or type(error).__name__
    if "CERTIFICATE" in reason.upper():
        return ToolError(f"the certificate of {host!r} is not valid ({reason}): use another source")
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        return ToolError(f"{host!r} does not accept connections at port {address.port} ({reason}): use another source")
    advice = "try again, or use another source" if request.method == "GET" else _MAY_HAVE_ACTED
    return ToolError(f"the connection to {host!r} broke ({reason}): {advice}")


def _not_admitted(host: str, access: HttpAccess) -> ToolError:
    if access.only:
        return ToolError(f"this tool is only for {', '.join(map(str, access.only))}, not for {host!r}")
    known = ", ".join(map(str, (*access.allowed, *access.private)))
    return ToolError(
        f"the host {host!r} is not one that this tool may use ({known}): use one of these, or tell the user that "
        "HTTP_ALLOWED_HOSTS of the worker would have to name it"
    )


def _timeout(deadline: float) -> httpx2.Timeout:
    return httpx2.Timeout(deadline, connect=CONNECT_TIMEOUT)


@functools.cache
def _tls() -> ssl.SSLContext:
    """Returns the settings of TLS, which take some 20 ms to load; SSL_CERT_FILE and SSL_CERT_DIR are respected."""
    return httpx2.create_ssl_context()


@functools.cache
def _resolver() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="http-names")
