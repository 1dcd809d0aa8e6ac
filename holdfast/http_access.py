"""The hosts that tools may reach over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_PATTERN = re.compile(r"(?P<any>\*\.)?(?P<name>[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")
MAX_PORT = 65_535


@dataclass(frozen=True)
class HostPattern:
    """One host, with all its ports or one of them; or all hosts below a domain."""

    name: str
    port: int | None = None
    """`None` means every port."""
    below: bool = False
    """Whether it stands for the hosts below the domain, not for the domain itself."""

    @classmethod
    def parse(cls, text: str) -> HostPattern:
        """Parses `example.org`, `example.org:8080`, `*.example.org`, `10.0.0.7` or `[fd00::7]:8080`.

        Raises:
            ValueError: it is none of these.
        """
        match = _PATTERN.fullmatch(text.strip().lower())
        port = int(match["port"]) if match and match["port"] else None
        if match is None or port == 0 or (port or 0) > MAX_PORT:
            raise ValueError(
                f"{text!r:.80} is not a host: write example.org, *.example.org, example.org:8080, 10.0.0.7 or [fd00::7]"
            )
        return cls(match["name"].strip("[]").rstrip("."), port, below=bool(match["any"]))

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        return f"{'*.' if self.below else ''}{name}{f':{self.port}' if self.port else ''}"

    def matches(self, host: str, port: int) -> bool:
        """Whether it stands for a port of a host, whose name is in lower case and ASCII."""
        if self.port not in (None, port):
            return False
        return host.endswith(f".{self.name}") if self.below else host == self.name


@dataclass(frozen=True)
class HttpAccess:
    """Where tools may connect to: by default, to every host all of whose addresses are public."""

    allowed: tuple[HostPattern, ...] = field(default=())
    """If any, only these hosts and the private ones."""
    private: tuple[HostPattern, ...] = field(default=())
    """Hosts whose addresses may be private or on this machine."""
    only: tuple[HostPattern, ...] = field(default=())
    """If any, a tool's own limit: none but these of the others."""

    @classmethod
    def parse(cls, allowed: Iterable[str] = (), private: Iterable[str] = ()) -> HttpAccess:
        """Returns the access that these patterns describe, see `HostPattern.parse`.

        Raises:
            ValueError: one of them is not a pattern.
        """
        return cls(tuple(map(HostPattern.parse, allowed)), tuple(map(HostPattern.parse, private)))

    def admits(self, host: str, port: int) -> bool:
        """Whether tools may connect to a port of a host at all."""
        is_allowed = not self.allowed or _any(self.allowed, host, port) or self.may_be_private(host, port)
        return is_allowed and (not self.only or _any(self.only, host, port))

    def may_be_private(self, host: str, port: int) -> bool:
        """Whether the addresses of a host may be private."""
        return _any(self.private, host, port)


def _any(patterns: tuple[HostPattern, ...], host: str, port: int) -> bool:
    return any(pattern.matches(host, port) for pattern in patterns)
