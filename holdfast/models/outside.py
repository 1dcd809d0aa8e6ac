"""The switch that keeps model requests on this machine: a test then costs nothing, and sends nothing out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from holdfast.errors import ModelRefused

_is_refused = False


def refuse_outside() -> None:
    """Refuses, from now on, each model request of the process to another machine."""
    global _is_refused  # noqa: PLW0603 - a switch of the process is what this is
    _is_refused = True


@contextmanager
def refused_outside() -> Iterator[None]:
    """Refuses each model request to another machine while the body runs, whatever the body sets."""
    global _is_refused  # noqa: PLW0603 - as above
    before, _is_refused = _is_refused, True
    try:
        yield
    finally:
        _is_refused = before


def check_allowed(url: str) -> None:
    """Checks that a model request may be sent to an endpoint.

    Raises:
        ModelRefused: it is on another machine, and requests to others are refused.
    """
    if _is_refused and not is_local(url):
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
