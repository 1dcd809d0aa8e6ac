"""The switch that keeps model requests on this machine: a test then costs nothing, and sends nothing out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from holdfast.errors import ModelRefused

_refusals = 0  # of `refused_outside`, and one if the settings say so


def refuse_outside() -> None:
    """Refuses, for the rest of the process, each model request to another machine."""
    global _refusals  # noqa: PLW0603 - a switch of the process is what this is
    _refusals += 1


@contextmanager
def refused_outside() -> Iterator[None]:
    """Refuses each model request to another machine while the body runs."""
    global _refusals  # noqa: PLW0603 - as above
    _refusals += 1
    try:
        yield
    finally:
        _refusals -= 1


def check_allowed(url: str) -> None:
    """Checks that a model request may be sent to an endpoint.

    Raises:
        ModelRefused: it is on another machine, and requests to others are refused.
    """
    if _refusals and not is_local(url):
        raise ModelRefused(
            f"HOLDFAST_ALLOW_MODEL_REQUESTS=0 allows no request to {urlsplit(url).netloc}, only to this machine; "
            "in a test, the fixture `model` answers the agents' model calls"
        )


def is_local(url: str) -> bool:
    """Returns whether an endpoint is on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
