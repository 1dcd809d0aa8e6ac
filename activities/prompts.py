"""The activity that calls the function of an agent's system prompt."""

from __future__ import annotations

from collections.abc import Callable

from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast import names
from holdfast._util.logger import get_logger
from holdfast._util.raised import raised
from holdfast.activities.failures import EXPECTED, not_served
from holdfast.activities.heartbeat import repeated_if_lost
from holdfast.activities.lifespans import Lifespans
from holdfast.activities.tool_runner import ToolRunner
from holdfast.activities.tool_threads import UnfinishedCall
from holdfast.agents.agent import Agent
from holdfast.agents.system_prompt import BadPrompt, checked_prompt
from holdfast.agents.user_functions import run_context
from holdfast.answers import PromptCall
from holdfast.errors import ErrorType

log = get_logger(__name__)

TIMEOUT = 60.0  # seconds


class PromptActivities:
    """Calls the functions of system prompts.

    Args:
        find: returns the agent of a name that is served here; `None` means that there is none.
        runner: calls the functions, so that one that blocks does not stop the worker.
        lifespans: enters the agents, whose functions may use what they have opened.
        max_bytes: size of the largest prompt, in UTF-8.
    """

    def __init__(
        self, find: Callable[[str], Agent | None], runner: ToolRunner, lifespans: Lifespans, max_bytes: int
    ) -> None:
        self._find = find
        self._runner = runner
        self._lifespans = lifespans
        self._max_bytes = max_bytes

    @activity.defn(name=names.AGENT_PROMPT)
    async def write(self, call: PromptCall) -> str:
        """Returns the system prompt of a run.

        Raises:
            ApplicationError: of type NotServed, if another worker has the function; of type SystemPromptFailed, which
                is retried unless calling the function again would not help.
        """
        agent = self._find(call.agent)
        prompt = agent.prompt if agent else None
        if prompt is None:
            raise not_served(f"the function {call.function!r} of agent {call.agent!r}")
        context = run_context(call)
        try:
            async with repeated_if_lost():
                await self._lifespans.enter(call.agent)
                said = await self._runner.run(prompt.name, lambda: prompt(context), TIMEOUT, is_async=prompt.is_async)
            return checked_prompt(prompt.name, said, self._max_bytes)
        except ApplicationError:
            raise
        except Exception as error:  # noqa: BLE001 - code of the user; it is logged where it is described
            raise _failure(prompt.name, call, error) from None


def _failure(function: str, call: PromptCall, error: Exception) -> ApplicationError:
    told = str(error) if isinstance(error, BadPrompt) else raised(error)
    if isinstance(error, UnfinishedCall):
        told = f"it did not end within {TIMEOUT:g} s"
    log.warning("a system prompt could not be written", agent=call.agent, run_id=call.run_id, reason=told)
    message = told if isinstance(error, BadPrompt) else f"the function {function!r} of the system prompt failed: {told}"
    return ApplicationError(
        message, type=ErrorType.PROMPT_FAILED, non_retryable=isinstance(error, BadPrompt), category=EXPECTED
    )
