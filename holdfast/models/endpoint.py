"""The endpoint of a provider, without the user and the password that its URL may contain."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from holdfast.errors import UsageError

HIDDEN = "(hidden)"
SHORTEST = 4  # characters of a text that is hidden; hiding a shorter one would damage ordinary words


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL for requests, and what authenticates them."""

    url: str
    """Without user and password."""
    authorization: str | None = field(default=None, repr=False)
    """The header for the user and the password; `None` without them."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Texts that no message may contain."""

    @classmethod
    def parse(cls, url: str, variable: str) -> Self:
        """Parses a URL.

        Raises:
            UsageError: it is not one; the message names the variable, and has no user or password.
        """
        text = url.strip()
        try:
            parts = urlsplit(text)
            is_usable = parts.scheme in ("http", "https") and bool(parts.hostname)
            _ = parts.port  # raises if it is not a number
        except ValueError:
            is_usable = False
        if not is_usable:
            raise UsageError(f"{variable}={_shown(text)!r} is not accepted: set it to a URL such as https://host/v1")
        userinfo, separator, place = parts.netloc.rpartition("@")
        if not separator:
            return cls(text)
        user, _, password = userinfo.partition(":")
        pair = f"{unquote(user)}:{unquote(password)}"
        header = f"Basic {base64.b64encode(pair.encode()).decode()}"
        secret = password or user  # some servers take a key as the user
        known = {userinfo, pair, header.removeprefix("Basic "), secret, unquote(secret), quote(unquote(secret))}
        found = sorted((text for text in known if len(text) >= SHORTEST), key=len, reverse=True)
        return cls(urlunsplit(parts._replace(netloc=place)), header, tuple(found))

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc

    def without_secrets(self, text: str) -> str:
        """Returns a text in which user and password are hidden."""
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        return text


def _shown(text: str) -> str:
    """Returns a text that is not a usable URL, without what may be its user and password."""
    start, separator, end = text.rpartition("@")
    if not separator:
        return text
    scheme, slashes, _ = start.partition("//")
    return f"{scheme}{slashes}{HIDDEN}@{end}" if slashes else f"{HIDDEN}@{end}"
