"""Lists of models, and the provider that the name of a model leads to."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from holdfast import Agent, AgentDefinition, AgentDefinitionError
from holdfast.models.routes import Route, Routes
from holdfast.protocol import RunOptions, RunRequest
from holdfast.request_problems import request_problems

BOTH = Routes({"openai", "openrouter", "groq"}, "openai", has_plain_names=True)
COMPATIBLE = Routes({"openai", "openrouter"}, "openai")
OPENROUTER = Routes({"openrouter"}, "openrouter")


@pytest.mark.parametrize(
    ("routes", "name", "provider", "model"),
    [
        (BOTH, None, "openai", None),
        (BOTH, "gpt-5-mini", "openai", "gpt-5-mini"),
        (BOTH, "openai/gpt-5-mini", "openai", "gpt-5-mini"),
        (BOTH, "openrouter/anthropic/claude-sonnet-4.5", "openrouter", "anthropic/claude-sonnet-4.5"),
        (BOTH, "openrouter/auto", "openrouter", "openrouter/auto"),
        (BOTH, "groq/llama-3.3-70b", "groq", "llama-3.3-70b"),
        (BOTH, "groq/", "openai", "groq/"),
        (BOTH, "mistralai/large", "openai", "mistralai/large"),
        (COMPATIBLE, "openai/gpt-oss-20b", "openai", "openai/gpt-oss-20b"),
        (OPENROUTER, "openai/gpt-5-mini", "openrouter", "openai/gpt-5-mini"),
        (OPENROUTER, "groq/llama", "openrouter", "groq/llama"),
    ],
)
def test_a_prefix_names_the_provider(routes: Routes, name: str | None, provider: str, model: str | None) -> None:
    """The prefix of a known provider leads to it; any other name is the default provider's."""
    assert routes.find(name) == Route(provider, model)


def test_an_agent_may_name_several_models() -> None:
    """Several models are kept in order; a list of one is that model."""
    assert Agent(name="a", model=("m", "n")).spec().model == ["m", "n"]
    assert Agent(name="a", model=["m"]).spec().model == "m"
    assert AgentDefinition.model_validate({"name": "a", "model": ["m", "n"]}).content()["model"] == ["m", "n"]
    assert RunOptions(agent="a", model=["m", "n"]).model_dump(exclude_unset=True)["model"] == ["m", "n"]
    assert Agent(name="a").spec().models == []


@pytest.mark.parametrize(
    ("models", "says"),
    [
        ([], "a list of 1 to 16 names"),
        ("", "the name of a model"),
        (["m", ""], "the name of a model"),
        (["m", "m"], "'m' is named twice"),
        (["m", 5], "the name of a model"),
        (5, "the name of a model"),
        ({"m": 1}, "the name of a model"),
        ([f"m{n}" for n in range(17)], "a list of 1 to 16 names"),
        (["m" * 1_001], "1,001 characters"),
    ],
)
def test_lists_that_are_not_accepted(models: Any, says: str) -> None:
    """A list that is empty, too long, or has a name twice is refused with one reason, wherever it is written."""
    with pytest.raises(AgentDefinitionError, match=says):
        Agent(name="a", model=models)
    with pytest.raises(ValidationError) as refused:
        RunRequest.model_validate({"agent": "a", "input": "Hi", "model": models})
    [(field, reason, _)] = request_problems(refused.value)
    assert (field, says in reason) == ("model", True)
