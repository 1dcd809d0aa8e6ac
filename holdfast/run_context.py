"""The context of a run: JSON values for its tools, which the model does not see."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from holdfast.bounds import Json, Text

MAX_CONTEXT_BYTES = 64 * 1024
"""As JSON. Each call of a tool carries it."""


def _plain(value: Any) -> Any:
    """Makes a mapping of any kind a dict, which is what JSON knows."""
    return dict(value) if hasattr(value, "keys") and not isinstance(value, dict) else value


def _bounded(value: dict[str, Any]) -> dict[str, Any]:
    size = len(json.dumps(value))
    if size > MAX_CONTEXT_BYTES:
        raise ValueError(
            f"it has {size:,} bytes as JSON, but at most {MAX_CONTEXT_BYTES:,} are accepted; pass references"
        )
    return value


RunContext = Annotated[dict[Text, Json], BeforeValidator(_plain), AfterValidator(_bounded)]
