"""Model settings of agents of other libraries, such as openai-agents, as fields of a chat request."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from holdfast.errors import AgentDefinitionError

_UNSUPPORTED = ("extra_headers", "extra_query")
"""What a definition cannot express."""
_NOT_IN_CHAT = (
    "context_management",
    "include_usage",
    "preserve_raw_usage",
    "reasoning",
    "response_include",
    "retry",
    "timeout",
    "truncation",
)
"""What concerns another API or that library's own client; chat servers refuse unknown fields."""
_MERGED = ("extra_args", "extra_body")
"""Objects that contain further fields of the request."""


def model_settings(name: str, agent: object) -> Any:
    """Returns an agent's model settings as fields of a chat request, without unset values.

    A class of settings has defaults that suit its own library. Only what differs from those of a new agent is taken.

    Args:
        name: the agent's name, for messages.
        agent: the agent.

    Raises:
        AgentDefinitionError: a setting is set that a definition cannot express.
    """
    settings = getattr(agent, "model_settings", None)
    if isinstance(settings, Mapping):
        return _given(settings)
    if (fields := _fields(settings)) is None:
        return settings or {}
    defaults = _fields(_default_settings(name, agent)) or {}
    return _chat_fields(name, {key: value for key, value in fields.items() if value != defaults.get(key)})


def _chat_fields(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    if unsupported := [key for key in _UNSUPPORTED if fields.get(key)]:
        raise AgentDefinitionError(
            f"agent {name!r}: model_settings have {', '.join(unsupported)}, "
            "which a definition cannot express: remove them"
        )
    reasoning = fields.get("reasoning")
    if isinstance(reasoning, Mapping) and reasoning.get("effort"):
        fields["reasoning_effort"] = reasoning["effort"]
    if fields.get("top_logprobs") is not None:
        fields.setdefault("logprobs", True)  # chat servers require it with the other
    further = {key: value for part in _MERGED for key, value in (fields.get(part) or {}).items()}
    dropped = {*_NOT_IN_CHAT, *_MERGED, *_UNSUPPORTED}
    return _given({key: value for key, value in fields.items() if key not in dropped} | further)


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def _fields(settings: Any) -> dict[str, Any] | None:
    """Returns the fields of an object of settings; `None` if it is not one."""
    if isinstance(settings, BaseModel):
        return settings.model_dump(mode="json")
    if hasattr(settings, "to_json_dict"):
        return dict(settings.to_json_dict())
    if dataclasses.is_dataclass(settings) and not isinstance(settings, type):
        return dataclasses.asdict(settings)
    return None


def _default_settings(name: str, agent: object) -> Any:
    """Returns the settings of a new agent of the same class, name and model; `None` if such a class has none."""
    kind = type(agent)
    if not dataclasses.is_dataclass(kind):
        return None
    create: Callable[..., Any] = kind
    try:
        return getattr(create(name=name, model=getattr(agent, "model", None)), "model_settings", None)
    except Exception:  # noqa: BLE001 - a class of a user's own may need anything
        factories = {field.name: field.default_factory for field in dataclasses.fields(kind)}
        factory = factories.get("model_settings")
        return factory() if callable(factory) else None
