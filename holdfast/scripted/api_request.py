"""A request to the scripted server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ApiRequest:
    """A request whose body is a JSON object."""

    body: dict[str, Any]
    size: int
    """Bytes of the body."""
    headers: Mapping[str, str]
