"""Options with which a run is started, besides its agent and its input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict

from pydantic import JsonValue

from holdfast.budgets import Budget


class AnyOptions(TypedDict, total=False):
    """Options of a run or a session; `Holdfast.start` explains each."""

    model: str | list[str] | tuple[str, ...] | None
    model_settings: Mapping[str, JsonValue] | None
    max_turns: int | None
    timeout: float | None
    budget: Budget | Mapping[str, Any] | None
    workspace: str | Path | None
    tags: dict[str, str] | None
    approve: Sequence[str] | None
    approval_timeout: float | None
    context: Mapping[str, JsonValue] | None


class StartOptions(AnyOptions, total=False):
    """Options of a run."""

    id: str | None
    history: Sequence[Any] | None


class SessionOptions(AnyOptions, total=False):
    """Options of a session; `Holdfast.session` explains each."""

    idle_limit: float | None
    expires: datetime | None
