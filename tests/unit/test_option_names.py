"""Wrong keywords, mostly those of other libraries, which are answered with the right ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, cast

import pytest

from holdfast import Agent, Holdfast, UsageError, tool
from holdfast.errors import AgentDefinitionError, UnknownOption
from holdfast.option_names import AGENT, RUN, TOOL
from holdfast.types import ToolSpec


def define(**options: Any) -> Agent:
    return Agent(name="a", **options)


def make_tool(**options: Any) -> Any:
    def act() -> None:
        """Acts."""

    return tool(**options)(act)


async def start(**options: Any) -> Any:
    return await Holdfast.start(cast("Any", None), "a", **options)


async def run(**options: Any) -> Any:
    return await define().run(**options)


async def send(**options: Any) -> Any:
    return define().session("s", **options)


@pytest.mark.parametrize(
    ("call", "option", "message"),
    [
        (define, "instructions", "Agent: `instructions` is called `system_prompt` here"),
        (define, "handoff_description", "`handoff_description` is called `description` here"),
        (define, "result_type", "`result_type` is called `output_type` here"),
        (define, "recursion_limit", "`recursion_limit` is called `max_turns` here"),
        (define, "backstory", "`backstory` is called `system_prompt` here"),
        (define, "temperature", "there is no `temperature`: it is a field of the request: pass `model_settings={...}`"),
        (define, "tols", "there is no option `tols` (did you mean `tools`?); the options are agents, approvals, "),
        (make_tool, "name_override", "tool 'act': `name_override` is called `name` here"),
        (make_tool, "readOnlyHint", "`readOnlyHint` is called `read_only` here"),
        (make_tool, "failure_error_function", "raise `ToolError`, whose message the model reads"),
        (make_tool, "nope", "there is no option `nope`; the options are approval, "),
        (start, "thread_id", "Holdfast.start: `thread_id` is called `id` here"),
        (start, "deps", "`deps` is called `context` here"),
        (start, "prompt", "`prompt` is called `input` here"),
        (run, "conversation_id", "Agent.run: `conversation_id` is called `id` here"),
        (run, "message_history", "Agent.run: `message_history` is called `history` here"),
        (send, "cwd", "Agent.session: `cwd` is called `workspace` here"),
    ],
)
async def test_a_keyword_of_a_neighbour_is_answered_with_the_right_one(
    call: Callable[..., Any], option: str, message: str
) -> None:
    """The message names the option that was meant; it is a TypeError, as for any wrong keyword in Python."""

    async def calling() -> None:
        made = call(**{option: "x"})
        if inspect.isawaitable(made):
            await made

    with pytest.raises(UnknownOption) as caught:
        await calling()
    assert message in str(caught.value)
    assert isinstance(caught.value, TypeError | UsageError)


def test_each_answer_exists() -> None:
    """A table renames to options that there are, and renames none of these."""
    options = set(inspect.signature(Agent.__init__).parameters)
    runs = set(inspect.signature(Holdfast.start).parameters)
    for table, known in ((AGENT, options), (TOOL, {*ToolSpec.model_fields, "verify"}), (RUN, runs)):
        assert {here for here in table.values() if " " not in here} <= known
        assert not table.keys() & known


def test_a_class_with_instructions_is_refused() -> None:
    """An agent without a prompt, whose class calls it `instructions`, is not created."""

    class Clerk(Agent):
        instructions = "You sell ropes."

    with pytest.raises(AgentDefinitionError, match=r"Clerk\.instructions: .* is called `system_prompt` here"):
        Clerk()
