"""Model calls that go through functions of the agent, `wrap_model_call`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from holdfast._util.raised import raised
from holdfast.activities.model_source import LONGEST
from holdfast.activities.tool_runner import ToolRunner
from holdfast.activities.tool_threads import UnfinishedCall
from holdfast.agents.agent import Agent
from holdfast.agents.user_functions import RunContext
from holdfast.agents.wrappers import ModelRequest, call_through
from holdfast.errors import ModelError, ModelRefused
from holdfast.model_reply import ModelReply
from holdfast.types import Context

Ask = Callable[[Context], Awaitable[ModelReply]]


async def ask_through(agent: Agent, context: Context, run: RunContext, ask: Ask, runner: ToolRunner) -> ModelReply:
    """Asks the model through the wrappers of an agent, and returns the reply of the outermost one.

    Args:
        agent: has the wrappers, which run where its other code does.
        context: what the call sends, if no wrapper changes it.
        run: what the wrappers are told of the run.
        ask: asks the model in this event loop; called as often as the wrappers do so.
        runner: calls the wrappers.

    Raises:
        ModelError: as `ask` raises it, if no wrapper catches it; ModelRefused, if a wrapper fails.
    """
    loop = asyncio.get_running_loop()

    async def call(request: ModelRequest) -> ModelReply:
        changed = _context(context, request)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_asked(ask, changed), loop))

    wrappers, request = agent.model_wrappers, _request(context, run)
    names = ", ".join(wrapper.name for wrapper in wrappers)
    try:
        reply: ModelReply = await runner.run(
            f"wrap_model_call of {agent.name}", lambda: call_through(wrappers, request, call), LONGEST, is_async=True
        )
    except (ModelError, UnfinishedCall):
        raise
    except Exception as error:
        raise ModelRefused(f"wrap_model_call ({names}) failed: {raised(error)}") from error
    return reply.model_copy()


async def _asked(ask: Ask, context: Context) -> ModelReply:
    return await ask(context)


def _request(context: Context, run: RunContext) -> ModelRequest:
    spec = context.spec
    return ModelRequest(
        model=spec.model,
        messages=tuple(context.messages),
        tools=tuple(spec.tools),
        settings=dict(spec.model_settings),
        context=run,
    )


def _context(context: Context, request: ModelRequest) -> Context:
    """Returns the context of a request as a wrapper has changed it."""
    model = request.model if request.model is None or isinstance(request.model, str) else list(request.model)
    changes = {"model": model, "tools": list(request.tools), "model_settings": dict(request.settings)}
    spec = context.spec.model_copy(update=changes)
    return Context.model_construct(spec=spec, messages=list(request.messages))
