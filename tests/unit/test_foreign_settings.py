"""Model settings of agents of other libraries, in classes built like those of openai-agents."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import pytest

from holdfast.agents.conversion import definition_of
from holdfast.errors import AgentDefinitionError


@dataclass
class Reasoning:
    effort: str | None = None
    summary: str | None = None


@dataclass
class Settings:
    temperature: float | None = None
    reasoning: Reasoning | None = None
    verbosity: str | None = None
    top_logprobs: int | None = None
    truncation: str | None = None
    include_usage: bool | None = None
    extra_headers: dict[str, str] | None = None
    extra_body: dict[str, Any] | None = None

    def to_json_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def default_settings(model: str | None = None) -> Settings:
    effort = "low" if model == "gpt-5" else "none"
    return Settings(reasoning=Reasoning(effort=effort), verbosity="low")


@dataclass
class Guest:
    """An agent whose default settings depend on its model."""

    name: str
    instructions: str = "Help."
    model: str | None = None
    model_settings: Settings = field(default_factory=default_settings)
    tools: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.model_settings == default_settings():
            self.model_settings = default_settings(self.model)


@dataclass
class Needy(Guest):
    """An agent that cannot be made with a name alone."""

    instructions: str = dataclasses.field(kw_only=True)


@pytest.mark.parametrize(
    "agent",
    [Guest("g"), Guest("g", model="gpt-5"), Needy("g", instructions="Help.")],
    ids=lambda agent: repr(agent)[:40],
)
def test_defaults_of_another_library_are_not_taken(agent: Guest) -> None:
    """An agent with default settings has none: servers refuse a `reasoning` object in chat requests."""
    assert definition_of(agent).model_settings == {}


def test_what_was_set_is_taken_in_the_form_of_a_chat_request() -> None:
    """Settings become the fields of a chat request; those of another API are left out."""
    settings = Settings(
        temperature=0.3,
        reasoning=Reasoning(effort="high", summary="auto"),
        verbosity="high",
        top_logprobs=2,
        truncation="auto",
        include_usage=True,
        extra_body={"seed": 7},
    )
    assert definition_of(Guest("g", model_settings=settings)).model_settings == {
        "temperature": 0.3,
        "reasoning_effort": "high",
        "verbosity": "high",
        "top_logprobs": 2,
        "logprobs": True,
        "seed": 7,
    }


def test_settings_that_cannot_be_expressed_are_refused() -> None:
    """A setting that would be lost is refused by name."""
    agent = Guest("g", model_settings=Settings(extra_headers={"X-Team": "a"}))
    with pytest.raises(AgentDefinitionError, match="extra_headers"):
        definition_of(agent)
