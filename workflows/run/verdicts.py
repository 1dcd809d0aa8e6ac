"""Commands that end what a run waits for: approvals, denials and answers of people, and events that have come."""

from __future__ import annotations

import json
from collections.abc import Iterable

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from holdfast.bounds import shortened
    from holdfast.commands import RUN_SENDER, Answer, Approve, Command, Deny, Event
    from holdfast.decisions import MAX_GRANTS, Decision, Grant, parsed_arguments
    from holdfast.json_schema import faults
    from holdfast.progress import Wait
    from holdfast.types import ToolSpec
    from holdfast.workflows import workflow_time
    from holdfast.workflows.run.control import Handler, Refusal
    from holdfast.workflows.run.decisions import Decisions
    from holdfast.workflows.run.elicitations import check_answer
    from holdfast.workflows.run.state import RunState
    from holdfast.workflows.run.turn import tools_by_name

SHOWN_CHARS = 80  # of an id or an option in a refusal


ENDED_BY = {
    "approval": "it is a call that waits for an approval, which `approve` or `deny` gives without files",
    "question": "it is a question, which `answer` answers",
}
"""What to do with a wait of another kind."""


class Verdicts:
    """Carries out decisions; the first one about a wait counts, and later ones hear who made it.

    Args:
        state: the run.
        decisions: where they are kept.
    """

    def __init__(self, state: RunState, decisions: Decisions) -> None:
        self._state = state
        self._decisions = decisions

    def handlers(self) -> dict[type[Command], Handler]:
        """Returns what each command does."""
        return {
            Approve: Handler(self.approve, self.check_approve),
            Deny: Handler(self.deny, self.check_deny),
            Answer: Handler(self.answer, self.check_answer),
            Event: Handler(self.event, self.check_event),
        }

    def check_approve(self, command: Approve) -> None:
        """Refuses an approval by an agent, of no open call, or with arguments that the tool does not take."""
        self._check_person(command)
        wait = self._found("approval", command.call)
        arguments = self._arguments(wait, command)
        if command.edit is not None and (wrong := faults(command.edit, self._tool(wait).parameters)):
            raise Refusal(f"the tool {self._tool(wait).name!r} does not take these arguments: {'; '.join(wrong)}")
        if command.always is not False:
            self._check_grant(arguments, command)

    def approve(self, command: Approve, _seq: int) -> None:
        """Approves a call."""
        wait = self._found("approval", command.call)
        arguments = self._arguments(wait, command)
        decision = Decision(outcome="approved", by=command.by)
        facts: dict[str, object] = {"call": wait.data["call"]}
        if command.edit is not None:
            decision.arguments = json.dumps(command.edit, ensure_ascii=False)
            facts["edited"] = {"arguments": command.edit}
        if command.always is not False and arguments is not None:
            keys = arguments.keys() if command.always is True else command.always
            some = {key: arguments[key] for key in keys}
            grant = Grant(tool=self._tool(wait).name, arguments=some, exact=command.always is True, by=command.by)
            self._decisions.grant(grant)
            facts["always"] = {"arguments": some, "exact": grant.exact}
        self._decisions.end(workflow_time.now(), wait, decision, **facts)

    def check_deny(self, command: Deny) -> None:
        """Refuses a denial by an agent, or of no open call."""
        self._check_person(command)
        self._found("approval", command.call)

    def deny(self, command: Deny, _seq: int) -> None:
        """Denies a call."""
        wait = self._found("approval", command.call)
        decision = Decision(outcome="denied", by=command.by, text=command.reason)
        self._decisions.end(workflow_time.now(), wait, decision, call=wait.data["call"])

    def check_answer(self, command: Answer) -> None:
        """Refuses an answer by an agent, to no open question, or that the question does not take."""
        self._check_person(command)
        wait = self._found("question", command.question)
        if "elicitation" in wait.data:
            if command.attachments:
                raise Refusal("an MCP server asks, which takes an answer in text: answer without images and files")
            try:
                check_answer(wait, command.text)
            except ValueError as error:
                raise Refusal(str(error)) from None
            return
        options = wait.data.get("options") or []
        if options and command.text not in options:
            accepted = ", ".join(repr(shortened(str(option), SHOWN_CHARS)) for option in options)
            raise Refusal(f"the answer must be one of {accepted}, not {shortened(command.text, SHOWN_CHARS)!r}")
        if options and command.attachments:
            raise Refusal(
                "the question has options, and takes one of them without images and files: `send` these in a message"
            )

    def answer(self, command: Answer, _seq: int) -> None:
        """Answers a question."""
        wait = self._found("question", command.question)
        decision = Decision(outcome="answered", by=command.by, text=command.text)
        if command.attachments:
            decision.attachments = command.attachments
        self._decisions.end(workflow_time.now(), wait, decision, call=wait.data["call"])

    def check_event(self, command: Event) -> None:
        """Refuses an event for which the run does not wait."""
        wait = self._state.open_waits.get(command.wait)
        if wait is None or wait.kind != "event":
            raise Refusal(f"the run does not wait for this event: {shortened(command.wait, SHOWN_CHARS)!r}")

    def event(self, command: Event, _seq: int) -> None:
        """Ends the wait for an event."""
        wait = self._state.open_waits[command.wait]
        if command.error is not None:
            self._decisions.end(workflow_time.now(), wait, Decision(outcome="full", text=command.error))
            return
        self._decisions.receive(str(wait.data.get("name")), command.offset)
        self._decisions.end(workflow_time.now(), wait, Decision(outcome="event", by=command.by, data=command.data))

    def _check_person(self, command: Command) -> None:
        """Refuses what a run or an agent sends: only people decide."""
        state = self._state
        runs = {state.run_id, state.request.parent, state.request.root, f"{RUN_SENDER}{state.run_id}"} - {None}
        if command.by is not None and (command.by.startswith(RUN_SENDER) or command.by in runs):
            raise Refusal(f"only people decide this; {shortened(command.by, SHOWN_CHARS)!r} is a run")

    def _found(self, kind: str, name: str | None) -> Wait:
        """Returns the open wait of a kind with this id, or of the call with this id.

        Raises:
            Refusal: there is none, or more than one.
        """
        waits = [wait for wait in self._state.open_waits.values() if wait.kind == kind]
        found = waits if name is None else _named(waits, name)
        if len(found) == 1:
            return found[0]
        what = {"approval": "call", "question": "question"}[kind]
        if found:
            ids = ", ".join(wait.id for wait in found)
            raise Refusal(f"several {what}s wait: name one of {ids}")
        shown = f"no {what}" if name is None else f"no {what} {shortened(name, SHOWN_CHARS)!r}"
        if name is not None and (other := _named(self._state.open_waits.values(), name)):
            raise Refusal(f"{shown} waits: {ENDED_BY.get(other[0].kind, 'it is something else that waits')}")
        if name is not None and (ended := self._ended(name)):
            raise Refusal(f"{shown} waits any more: {ended}")
        ids = ", ".join(wait.id for wait in waits) or "none"
        raise Refusal(f"{shown} waits for a person; those that wait: {ids}")

    def _ended(self, name: str) -> str | None:
        """Returns how a wait has ended, for somebody who comes too late."""
        for wait_id, decision in reversed(self._state.decisions.decisions.items()):
            if name in (wait_id, wait_id.partition("/")[2]):
                who = f" by {decision.by}" if decision.by else ""
                return f"it was {decision.outcome}{who}"
        return None

    def _tool(self, wait: Wait) -> ToolSpec:
        return tools_by_name(self._state.spec)[str(wait.data["tool"])]

    def _arguments(self, wait: Wait, command: Approve) -> dict[str, object] | None:
        """Returns the arguments with which a call will be made; `None` if the model's are malformed."""
        if command.edit is not None:
            return dict(command.edit)
        call = next((call for call in self._state.pending_calls if self._state.wait_id(call) == wait.id), None)
        return parsed_arguments(call.arguments) if call else None

    def _check_grant(self, arguments: dict[str, object] | None, command: Approve) -> None:
        if len(self._decisions.grants) >= MAX_GRANTS:
            raise Refusal(f"this run has {MAX_GRANTS} approvals for later calls already; approve without --always")
        if arguments is None:
            raise Refusal("the arguments of this call are malformed, so no later call can match them")
        keys = [] if isinstance(command.always, bool) else command.always
        if missing := [key for key in keys if key not in arguments]:
            known = ", ".join(arguments) or "none"
            raise Refusal(f"the call has no argument {missing[0]!r} that later calls could match; it has: {known}")


def _named(waits: Iterable[Wait], name: str) -> list[Wait]:
    """Returns the waits with this id, or of the call with this id."""
    return [wait for wait in waits if name in (wait.id, wait.data.get("call"))]
