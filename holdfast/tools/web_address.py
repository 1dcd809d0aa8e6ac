"""Addresses of the web as models write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from holdfast import _lazy
from holdfast.agents.tool import ToolError

if TYPE_CHECKING:
    import httpx2
else:  # a tenth of a second, which scripts that only define agents do without
    httpx2 = _lazy.load("httpx2")

_PORTS = {"http": 80, "https": 443}
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\Z", re.IGNORECASE)
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?")
MAX_URL_CHARS = 8_000
SHOWN_CHARS = 200  # of an address in a message


@dataclass(frozen=True)
class WebAddress:
    """A URL of http or https whose host is a name or an IP address in its usual form."""

    parsed: httpx2.URL
    host: str
    """In lower case and ASCII, without brackets and without a dot at the end."""
    port: int

    @classmethod
    def parse(cls, text: str) -> WebAddress:
        """Parses a URL.

        Raises:
            ToolError: it is not accepted; the message says what is.
        """
        text = text.strip()
        try:
            url = httpx2.URL(text) if len(text) <= MAX_URL_CHARS else None
        except (httpx2.InvalidURL, UnicodeError):
            url = None
        if url is None or url.scheme not in _PORTS or not url.raw_host:
            raise _refused(text, "write a whole address that begins with http:// or https://")
        if url.userinfo:
            raise _refused(text, "leave out the user name and the password")
        port = url.port or _PORTS[url.scheme]
        if not 0 < port < 65_536 or url.port == 0:
            raise _refused(text, "ports are numbers from 1 to 65535")
        return cls(url.copy_with(fragment=None), _checked_host(url.raw_host.decode("ascii").lower(), text), port)

    @property
    def url(self) -> str:
        """The whole address."""
        return str(self.parsed)

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        return self.parsed.scheme, self.host, self.port

    @property
    def host_header(self) -> str:
        """The host as the server expects it: with the port, unless it is the usual one."""
        return self.parsed.netloc.decode("ascii")

    def at(self, ip: str) -> httpx2.URL:
        """Returns the address with an IP address in place of the name."""
        return self.parsed.copy_with(host=ip)

    def joined(self, target: str) -> WebAddress:
        """Returns the address that a redirect leads to.

        Raises:
            ToolError: it is not accepted.
        """
        try:
            return WebAddress.parse(str(self.parsed.join(target)))
        except (httpx2.InvalidURL, UnicodeError):
            raise _refused(target, "the server redirects there; use another source") from None


def _checked_host(host: str, text: str) -> str:
    """Returns a host without the dot at its end.

    What ends in a number is an IPv4 address to browsers and to resolvers, in many forms: 2130706433, 0x7f.1 and
    0177.0.0.1 are all 127.0.0.1. Only the usual form is accepted, so that the host means one thing to everyone.
    """
    host = host.rstrip(".")
    if ":" in host:
        try:
            return str(IPv6Address(host))
        except ValueError:
            raise _refused(text, "the IPv6 address is not valid") from None
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise _refused(text, "write an IPv4 address as four decimal numbers, or use the host's name") from None
    if not _NAME.fullmatch(host):
        raise _refused(text, "the host's name is not valid")
    return host


def _refused(text: str, advice: str) -> ToolError:
    shown = text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"
    return ToolError(f"the address {shown!r} is not accepted: {advice}")
