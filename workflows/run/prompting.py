"""System prompts that a function of the agent writes, before the log of the run begins."""

from __future__ import annotations

from collections.abc import Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.answers import PromptCall
    from holdfast.errors import ErrorType
    from holdfast.protocol import Plan, RunRequest
    from holdfast.types import AgentSpec, RunError
    from holdfast.workflows import options, workflow_time
    from holdfast.workflows.calls import call_activity
    from holdfast.workflows.run.code_process import has_not_begun
    from holdfast.workflows.run.model_calls import run_error
    from holdfast.workflows.run.waits import is_unserved


class Prompting:
    """Has the functions of a run's agents write their system prompts, where the code of each agent is.

    The text then takes the place of the function in the plan. So the log has it, and nothing that follows the log needs
    the function: neither a replay nor a fork.

    Args:
        wanted: the request of the run.
        plan: the plan of the run.
        show: called with what the run waits for.
    """

    def __init__(self, wanted: RunRequest, plan: Plan, show: Callable[[str], None]) -> None:
        self._wanted = wanted
        self._plan = plan
        self._show = show

    async def write(self) -> RunError | None:
        """Completes the plan, and returns why the prompt could not be written; `None` means that it was.

        Raises:
            ActivityError: the run was cancelled.
        """
        plan = self._plan
        try:
            spec = await self._with_prompt(plan.spec)
            team = {name: await self._with_prompt(member) for name, member in spec.team.items()}
        except (ActivityError, ApplicationError) as error:
            if is_cancelled_exception(error):
                raise
            return run_error(error) if isinstance(error, ActivityError) else _run_error(error)
        plan.spec = spec.model_copy(update={"team": team}) if team != spec.team else spec
        return None

    async def _with_prompt(self, spec: AgentSpec) -> AgentSpec:
        function = spec.system_prompt_function
        if function is None:
            return spec
        text = await self._written(spec, function)
        return spec.model_copy(update={"system_prompt": text, "system_prompt_function": None})

    async def _written(self, spec: AgentSpec, function: str) -> str:
        plan, delay, waits = self._plan, options.FIRST_WAIT, False
        give_up = workflow_time.now().timestamp() + plan.timeout
        while True:
            try:
                return await self._call(spec, function, waits=waits)
            except ActivityError as error:
                if has_not_begun(error):
                    waits = True  # until the process is back, however long that takes
                    self._show(f"the process that serves {spec.name}")
                    continue
                if not is_unserved(error) or workflow_time.now().timestamp() > give_up:
                    raise
            self._show(f"a worker that has the function {function!r} of agent {spec.name!r}")
            await workflow.sleep(delay)
            delay = min(2 * delay, options.LONGEST_WAIT)

    async def _call(self, spec: AgentSpec, function: str, *, waits: bool) -> str:
        context = self._wanted.context
        told = {} if context is None else {"context": context}
        call = PromptCall(run_id=workflow.info().workflow_id, agent=spec.name, function=function, **told)
        how = options.ActivityOptions(**options.CODE_CHECK, task_queue=spec.code_queue)
        if spec.code_queue is not None and not waits:
            how["schedule_to_start_timeout"] = options.CODE_START
        return await call_activity(names.AGENT_PROMPT, call, str, summary="write the system prompt", **how)


def _run_error(error: ApplicationError) -> RunError:
    return RunError(type=error.type or ErrorType.INTERNAL, message=error.message)
