"""Tools that the run itself performs: questions to people, timers, messages and events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.attachments import lines
    from holdfast.bounds import shortened
    from holdfast.commands import RUN_SENDER
    from holdfast.decisions import Decision, parsed_arguments
    from holdfast.event_topics import MAX_NAME_CHARS, EmittedEvent, EventWaiter, event_topic_id
    from holdfast.json_schema import faults
    from holdfast.progress import Wait
    from holdfast.types import ToolCall, ToolResult, ToolSpec
    from holdfast.workflows import options, workflow_time
    from holdfast.workflows.calls import call_activity, raise_cancel
    from holdfast.workflows.run.attachments import stored
    from holdfast.workflows.run.decisions import Decisions
    from holdfast.workflows.run.people import People
    from holdfast.workflows.run.state import RunState
    from holdfast.workflows.signals import tell

SHOWN_CHARS = 120  # of a question or a name, where people see what a run waits for
LATEST = datetime(9000, 1, 1, tzinfo=UTC)  # Temporal's timers end before the year 10,000

Arguments = dict[str, Any]


class Operations:
    """Performs calls that need no worker; what they wait for holds no slot and is carried over continue-as-new.

    Args:
        state: the run.
        decisions: what has been decided, and the events that have come.
        people: waits.
    """

    def __init__(self, state: RunState, decisions: Decisions, people: People) -> None:
        self._state = state
        self._decisions = decisions
        self._people = people
        self._known: dict[str, Callable[[ToolCall, Arguments], Awaitable[ToolResult | None]]] = {
            "ask_human": self._ask_human,
            "sleep": self._sleep,
            "wait_for_message": self._wait_for_message,
            "wait_for_event": self._wait_for_event,
            "emit": self._emit,
        }

    async def perform(self, call: ToolCall, tool: ToolSpec) -> ToolResult | None:
        """Performs a call and returns its result; `None` means that the run continues as new before it has one.

        Raises:
            CancelledError: the turn was stopped.
        """
        operation = self._known.get(tool.operation or "")
        if operation is None:
            return ToolResult(error=f"the run cannot perform {tool.operation!r}, which a newer version may know")
        arguments = parsed_arguments(call.arguments)
        if arguments is None:
            return ToolResult(error="the arguments are not a JSON object")
        if wrong := faults(arguments, tool.parameters):
            return ToolResult(error="\n".join(["The arguments are wrong:", *(f"- {fault}" for fault in wrong)]))
        return await operation(call, arguments)

    async def _ask_human(self, call: ToolCall, arguments: Arguments) -> ToolResult | None:
        question, choices = str(arguments["question"]), arguments.get("options") or []
        decision = await self._decision(
            call,
            "question",
            f"the answer to: {shortened(' '.join(question.split()), SHOWN_CHARS)}",
            until=self._people.deadline(),
            data={"call": call.id, "question": question, "options": choices},
        )
        if decision is None:
            return None
        if decision.outcome == "answered":
            return await _answer(decision)
        return ToolResult(
            error="nobody answered in time" if decision.outcome == "expired" else "the question was withdrawn"
        )

    async def _sleep(self, call: ToolCall, arguments: Arguments) -> ToolResult | None:
        until = _end(arguments, workflow_time.now())
        if isinstance(until, str):
            return ToolResult(error=until)
        decision = await self._decision(
            call, "timer", until.isoformat(timespec="seconds"), until=until, expired="elapsed"
        )
        if decision is None:
            return None
        return ToolResult(content=f"slept until {workflow_time.now().isoformat(timespec='seconds')}")

    async def _wait_for_message(self, call: ToolCall, arguments: Arguments) -> ToolResult | None:
        queue = self._state.queue
        decision = await self._decision(
            call,
            "message",
            "a message",
            until=_limit(arguments, workflow_time.now()),
            ready=lambda: Decision(outcome="arrived") if queue else None,
        )
        if decision is None:
            return None
        if decision.outcome != "arrived":
            return ToolResult(content="no message arrived in time")
        queue.hurry()
        return ToolResult(content="a message arrived; it follows")

    async def _wait_for_event(self, call: ToolCall, arguments: Arguments) -> ToolResult | None:
        name, wait_id = str(arguments["name"]), self._state.wait_id(call)
        try:
            # Registered again by each execution, as the run may have continued while it was being registered.
            if self._decisions.of(wait_id) is None and (
                refused := await self._begin_event_wait(name, wait_id, arguments)
            ):
                return refused
            decision = await self._decision(call, "event", "", until=None)
        except asyncio.CancelledError:
            if not self._state.keeps_waits:
                await self._forget(name, wait_id)
            raise
        if decision is None:
            return None
        if decision.outcome == "event":
            return ToolResult(content=json.dumps(decision.data, ensure_ascii=False))
        if decision.outcome == "full":
            return ToolResult(error=decision.text or "")
        await self._forget(name, wait_id)
        return ToolResult(content=f"no event {name!r} was emitted in time")

    async def _begin_event_wait(self, name: str, wait_id: str, arguments: Arguments) -> ToolResult | None:
        """Begins to wait for an event; returns the result of the call if that is refused.

        Raises:
            CancelledError: the turn was stopped. The request has ended then, so that the run can be forgotten after it.
        """
        what, limit = f"event {shortened(name, SHOWN_CHARS)}", _limit(arguments, workflow_time.now())
        self._state.begin_wait(workflow_time.now(), self._wait(wait_id, "event", what, limit, {"name": name}))
        registering = asyncio.create_task(self._register(name, wait_id))
        try:
            return await asyncio.shield(registering)
        except asyncio.CancelledError:
            registering.cancel()
            await workflow.wait([registering])
            raise

    async def _emit(self, call: ToolCall, arguments: Arguments) -> ToolResult | None:
        state = self._state
        name = str(arguments["name"])
        event = {
            "data": arguments.get("data"),
            "id": shortened(f"{state.turns}/{call.id}/{state.run_id}", MAX_NAME_CHARS),
            "by": f"{RUN_SENDER}{state.run_id}",
        }
        try:
            EmittedEvent.model_validate(event)
        except ValueError as error:
            return ToolResult(error=f"the event cannot be emitted: {error}")
        refused = await self._request(names.EVENT_EMIT, (name, event), f"emit {shortened(name, SHOWN_CHARS)}")
        return ToolResult(error=refused) if refused else ToolResult(content=f"emitted {name!r}")

    async def _decision(
        self,
        call: ToolCall,
        kind: str,
        what: str,
        *,
        until: datetime | None,
        data: Arguments | None = None,
        expired: str = "expired",
        ready: Callable[[], Decision | None] = lambda: None,
    ) -> Decision | None:
        """Waits until a wait of a call has ended, and returns how; `None` means that the run continues as new."""
        wait_id = self._state.wait_id(call)
        if (decision := self._decisions.of(wait_id)) is None:
            wait = self._state.open_waits.get(wait_id) or self._wait(wait_id, kind, what, until, data)
            if not await self._people.decide(wait, expired=expired, ready=lambda: ready() is not None):
                return None
            if wait_id in self._state.open_waits and (found := ready()):
                self._decisions.end(workflow_time.now(), wait, found)
            decision = self._decisions.of(wait_id)
        self._decisions.forget_details(wait_id)
        return decision

    def _wait(self, wait_id: str, kind: str, what: str, until: datetime | None, data: Arguments | None = None) -> Wait:
        wait = Wait(id=wait_id, kind=kind, since=workflow_time.now(), what=what)
        if until is not None:
            wait.until = until
        if data:
            wait.data = data
        return wait

    async def _register(self, name: str, wait_id: str) -> ToolResult | None:
        """Registers the run for an event; returns the result of the call if that is refused."""
        waiter = EventWaiter(
            run_id=self._state.run_id,
            wait=wait_id,
            after=self._state.decisions.events.get(name, 0),
            since=self._state.started_at,
        )
        error = await self._request(
            names.EVENT_AWAIT, (name, waiter), f"to be told of event {shortened(name, SHOWN_CHARS)}"
        )
        wait = self._state.open_waits.get(wait_id)
        if error is None or wait is None:
            return None
        self._decisions.end(workflow_time.now(), wait, Decision(outcome="refused", text=error))
        return ToolResult(error=error)

    async def _request(self, activity: str, arguments: tuple[Any, ...], summary: str) -> str | None:
        """Makes a request to Temporal, and returns why it was refused; `None` if it was not.

        Raises:
            CancelledError: the turn was stopped.
        """
        try:
            await call_activity(activity, arguments, bool, summary=summary, **options.EVENT_TOPIC)
        except ActivityError as error:
            raise_cancel(error)
            return str(error.cause or error)
        return None

    async def _forget(self, name: str, wait_id: str) -> None:
        """Tells the keeper of an event that the run no longer waits; it may have ended meanwhile."""
        waiter = EventWaiter(run_id=self._state.run_id, wait=wait_id, since=self._state.started_at)
        await tell(event_topic_id(workflow.info().task_queue, name), names.SIGNAL_FORGET, waiter)


async def _answer(decision: Decision) -> ToolResult:
    """Returns the answer of a person as the result of the call that has asked.

    Raises:
        CancelledError: the turn was stopped while the contents of the answer were being stored.
    """
    result = ToolResult(content=decision.text or "")
    if decision.attachments:
        result.content = result.content or f"[{lines(decision.attachments)}]"
        try:
            result.attachments = await stored(decision.attachments)
        except ActivityError as error:
            raise_cancel(error)
            reason = f"its images and files could not be stored: {error.cause or error}"
            result.content = f"{result.content}\n[{reason}]".lstrip()
    return result


def _limit(arguments: Arguments, now: datetime) -> datetime | None:
    """Returns when a wait ends that lasts at most `seconds`; `None` means never."""
    seconds = arguments.get("seconds")
    return None if seconds is None else now + timedelta(seconds=seconds)


def _end(arguments: Arguments, now: datetime) -> datetime | str:
    """Returns when a sleep ends, or what is wrong with its arguments."""
    until = arguments.get("until")
    if (until is None) == (arguments.get("seconds") is None):
        return "pass either `seconds` or `until`"
    if until is None:
        end = _limit(arguments, now)
        assert end is not None, "one of the two is given"
        return end
    try:
        moment = datetime.fromisoformat(str(until))
    except ValueError:
        return f"until={until!r:.40} is not a time such as 2026-12-24T18:00:00+01:00"
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(moment.astimezone(UTC), LATEST)
