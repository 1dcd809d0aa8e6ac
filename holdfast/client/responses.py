"""One answer of the model, without an agent of one's own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.agents import agent as definition
from holdfast.agents import services
from holdfast.arguments import check_instance
from holdfast.client.history import conversation_of
from holdfast.errors import UsageError
from holdfast.start_options import StartOptions

if TYPE_CHECKING:
    from holdfast.client.agent_runner import AgentRunner

NAME = "model-response"
"""Name of the agent of such runs, in lists."""


async def get_model_response(
    messages: Sequence[Mapping[str, Any]] | None = None,
    message: str | None = None,
    system_prompt: str | None = None,
    model: str | list[str] | None = None,
    schema: Any = None,
) -> Any:
    """Asks the model once, and returns its answer.

        text = await get_model_response(message="What is a bowline?")
        knot = await get_model_response(message="Describe a bowline.", schema=Knot)

    It is a run without tools, of an agent `model-response`: it survives crashes of the worker, is counted in usage and
    budgets, and its rate is limited.

    Args:
        messages: a conversation in OpenAI's chat format, which ends with a message of role `user`; a first message of
            role `system` is the system prompt.
        message: the message, if there are no `messages`; else it follows them.
        system_prompt: the system prompt, instead of one in `messages`.
        model: the model, or several of which the first that is available answers; `None` means the default one.
        schema: the type of the answer: a pydantic model, a dataclass, whatever else pydantic validates, or a JSON
            schema; `None` means text. An answer that does not match it is repaired, as for `Agent(output_type=...)`.

    Returns:
        The text; or, with a schema, a value of its type, which is plain data for a JSON schema.

    Raises:
        UsageError: an argument is not accepted.
        AgentDefinitionError: the schema is not accepted.
        RunFailed: the model has not answered.
    """
    if messages is not None:
        check_instance("messages", messages, list | tuple, "a list of messages")
    asked = [*(messages or []), *([] if message is None else [{"role": "user", "content": message}])]
    if not asked:
        raise UsageError("get_model_response needs a `message`, or `messages`")
    prompt, history, text = conversation_of(asked, "messages")
    agent = definition.Agent(
        name=NAME,
        system_prompt=prompt or "" if system_prompt is None else system_prompt,
        model=model,
        **({} if schema is None else {"output_type": schema}),
    )
    spec = agent.spec()
    if spec.output is not None:  # this process checks the answer against the type, and the worker against its schema
        spec.output = spec.output.model_copy(update={"code": False})
    runner: AgentRunner = await asyncio.to_thread(services.agent_runner)
    options: StartOptions = {"history": history} if history else {}
    result = await runner.run(agent, text, options, spec)
    return result.raise_on_failure().content if spec.output is None else result.output
