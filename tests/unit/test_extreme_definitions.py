"""Extreme values in definitions: each is refused with a reason, or is carried through JSON unaltered and can be run."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from holdfast import Agent, AgentDefinition, AgentDefinitionError, tool
from holdfast.types import AgentSpec, ToolSpec, Usage
from holdfast.workflows.options import tool_call

NUMBERS = st.one_of(
    st.integers(),
    st.integers(min_value=2**60),
    st.floats(),
    st.sampled_from([9e18, 253e9, -1, 0, 10**400, 315_360_000]),
)
TEXTS = st.one_of(
    st.text(), st.sampled_from(["名" * 342, "x" * 3_000, "a\0", "\ud800", " x", "x@3", "/_sys/x", "tool."])
)
LEAVES = st.one_of(NUMBERS, TEXTS, st.none(), st.booleans())
VALUES = st.one_of(LEAVES, st.lists(LEAVES, max_size=3), st.dictionaries(st.text(max_size=3), LEAVES, max_size=3))

FIELDS = ["name", "system_prompt", "model", "model_settings", "tools", "max_turns", "timeout", "version"]
TOOL_FIELDS = ["name", "description", "parameters", "activity", "timeout", "retries", "task_queue", "approval"]


def survives(made: AgentSpec | AgentDefinition | ToolSpec | Usage) -> None:
    """Checks that a value is the same after a way through JSON."""
    assert type(made).model_validate_json(made.model_dump_json()) == made


@given(st.sampled_from(FIELDS), VALUES)
@settings(max_examples=400, deadline=None)
def test_any_field_of_an_agent(field: str, value: Any) -> None:
    """Definitions, from code, a registry or a request, are refused or valid everywhere."""
    given_fields = {"name": "a", field: value}
    for make in (AgentSpec, AgentDefinition):
        with suppress(ValidationError):
            survives(make(**given_fields))
    if field != "version":  # the registry assigns it
        with suppress(AgentDefinitionError):
            survives(Agent(**given_fields).spec())


@given(st.sampled_from(TOOL_FIELDS), VALUES)
@settings(max_examples=400, deadline=None)
def test_any_field_of_a_tool(field: str, value: Any) -> None:
    """A tool is refused, or Temporal accepts the options of its calls."""
    try:
        made = ToolSpec(**{"name": "look", "activity": "tool.look", "read_only": True, field: value})
    except ValidationError:
        return
    survives(made)
    options = tool_call(made)
    assert 10 <= options["start_to_close_timeout"].total_seconds() <= 315_360_010
    assert 1 <= options["retry_policy"].maximum_attempts <= 1_001


@given(NUMBERS, NUMBERS)
def test_an_option_of_the_decorator(timeout: Any, retries: Any) -> None:
    """`@tool` refuses an option out of bounds when the function is defined, and names it."""

    def look() -> str:
        return ""

    try:
        made = tool(read_only=True, timeout=timeout, retries=retries)(look)
    except AgentDefinitionError as error:
        told = str(error)
    else:
        survives(made.spec)
        told = "timeout="
    assert "timeout=" in told or "retries=" in told


@given(st.dictionaries(st.sampled_from(list(Usage.model_fields)), NUMBERS))
def test_any_usage(fields: dict[str, Any]) -> None:
    """Usage that a provider reports is kept within its bounds, also when it is added up."""
    try:
        usage = Usage(**fields)
    except ValidationError:
        return
    for total in (usage, usage + usage, sum([usage] * 5, Usage())):
        survives(total)
        assert 0 <= total.total_tokens < 2**63
        assert 0 <= total.cost_usd <= 1e12
