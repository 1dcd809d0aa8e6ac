"""The commands to an open run, as methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import JsonValue, ValidationError
from temporalio import activity

from holdfast.arguments import checked_names
from holdfast.bounds import shortened
from holdfast.client.commander import Commander
from holdfast.client.inputs import Inputs, RunInput
from holdfast.commands import (
    MAX_MESSAGE_BYTES,
    Answer,
    Approve,
    Command,
    Compact,
    CreateCheckpoint,
    Deny,
    Interrupt,
    Pause,
    Policy,
    RaiseBudget,
    Receipt,
    Resolve,
    Resume,
    Send,
)
from holdfast.errors import CommandRefused, UsageError
from holdfast.rejection import place_of, reason_of
from holdfast.types import RunId

C = TypeVar("C", bound=Command)


class RunCommands:
    """Commands to one run; each is recorded, and carried out once under its idempotency key.

    Args:
        commander: sends them.
        id: the run.
        inputs: takes messages.
    """

    def __init__(self, commander: Commander, id: RunId, inputs: Inputs | None = None) -> None:  # noqa: A002 - the field's word
        self.id = id
        self.inputs = inputs or Inputs(None, MAX_MESSAGE_BYTES)
        """Takes messages and their attachments."""
        self._commander = commander

    async def send(
        self,
        text: RunInput,
        *,
        policy: Policy | str = Policy.STEER,
        pin: bool = False,
        id: str | None = None,  # noqa: A002 - the field's word
        by: str | None = None,
    ) -> Receipt:
        """Sends a message to the agent.

        Args:
            text: not blank, at most 512 KB; or data, or a list with images and files, as the input of a run.
            policy: `steer` adds it to the next model call, `enqueue` waits for the answer, `interrupt` stops the
                current turn, and `reject` refuses the message if the agent is at work.
            pin: keep the message in the model's context when older ones are summarized.
            id: idempotency key; the same message under the same id is taken once.
            by: who sends it.

        Raises:
            CommandRefused: too many messages wait, or the policy refuses it; RunOver if the run has ended.
            UsageError: an argument is not accepted.
        """
        message = await self.inputs.message(text)
        return await self._command(Send, **message, policy=policy, pin=pin, id=id, by=by)

    async def pause(self, *, now: bool = False, id: str | None = None, by: str | None = None) -> Receipt:  # noqa: A002
        """Pauses the run: nothing new starts until `resume`, and its clock stands still.

        Args:
            now: stop the calls in flight too; otherwise they end and are recorded.
            id: as in `send`.
            by: as in `send`.

        Raises:
            CommandRefused: the run is paused already, or has ended.
        """
        return await self._command(Pause, now=now, id=id, by=by)

    async def resume(self, *, id: str | None = None, by: str | None = None) -> Receipt:  # noqa: A002
        """Resumes a paused run.

        Raises:
            CommandRefused: the run is not paused, or has ended.
        """
        return await self._command(Resume, id=id, by=by)

    async def interrupt(
        self,
        text: RunInput | None = None,
        *,
        id: str | None = None,  # noqa: A002 - the field's word
        by: str | None = None,
    ) -> Receipt:
        """Stops the current turn and keeps its partial results. A session then waits; any other run pauses.

        Args:
            text: a message with which the agent continues at once; as in `send`, it may have images and files.
            id: as in `send`.
            by: as in `send`.

        Raises:
            CommandRefused: the session has nothing to interrupt, or the run has ended.
            UsageError: an argument is not accepted.
        """
        message = {} if text is None else await self.inputs.message(text)
        return await self._command(Interrupt, **message, id=id, by=by)

    async def raise_budget(
        self,
        *,
        cost_usd: float | None = None,
        tokens: int | None = None,
        tool_calls: int | None = None,
        turns: int | None = None,
        seconds: float | None = None,
        id: str | None = None,  # noqa: A002 - the field's word
        by: str | None = None,
    ) -> Receipt:
        """Raises limits of the run. A run that waits for a larger budget continues, or waits again if it is too small.

        Args:
            cost_usd: what the run may cost in all, in US dollars.
            tokens: input and output tokens that it may use in all.
            tool_calls: tool calls that it may make in all.
            turns: model calls that it may make in all; of a session, in each exchange.
            seconds: running time in all.
            id: as in `send`.
            by: as in `send`.

        Raises:
            CommandRefused: the run has no such limit, or one that is as high; or it has ended.
        """
        limits = {"cost_usd": cost_usd, "tokens": tokens, "tool_calls": tool_calls, "turns": turns, "seconds": seconds}
        return await self._command(RaiseBudget, **limits, id=id, by=by)

    async def create_checkpoint(
        self,
        name: str = "checkpoint",
        data: Any = None,
        *,
        id: str | None = None,  # noqa: A002 - the field's word
        by: str | None = None,
    ) -> str:
        """Makes a checkpoint, and returns its id.

        Args:
            name: for people; the newest of several with one name is meant.
            data: JSON to keep with it, at most 64 KB.
            id: as in `send`; it is also the checkpoint's.
            by: as in `send`.

        Raises:
            CommandRefused: the run has ended, or a turn's end has the name.
            UsageError: an argument is not accepted.
        """
        return (await self._command(CreateCheckpoint, name=name, data=data, id=id, by=by)).id

    async def compact(
        self,
        focus: str | None = None,
        *,
        id: str | None = None,  # noqa: A002 - the field's word
        by: str | None = None,
    ) -> Receipt:
        """Shortens the model's context before its next call; the transcript stays whole.

        Args:
            focus: what the summary should keep in particular.
            id: as in `send`.
            by: as in `send`.

        Raises:
            CommandRefused: the run has ended.
        """
        return await self._command(Compact, focus=focus, id=id, by=by)

    async def resolve(
        self,
        call: str,
        *,
        happened: bool,
        result: str = "",
        id: str | None = None,  # noqa: A002 - the field's word
        by: str | None = None,
    ) -> Receipt:
        """Says whether a call took effect that was lost with its worker, and whose tool asks a person.

        Args:
            call: id of the wait, as in `status().waits_for`, or of the call.
            happened: whether it took effect; if not, it is made again.
            result: what it returned, for the model.
            id: as in `send`.
            by: as in `send`.

        Raises:
            CommandRefused: no such call waits, or the run has ended.
        """
        return await self._command(Resolve, call=call, happened=happened, result=result or None, id=id, by=by)

    async def approve(
        self,
        call: str,
        *,
        edit: Mapping[str, JsonValue] | None = None,
        always: bool | Sequence[str] = False,
        id: str | None = None,  # noqa: A002 - the field's word
        by: str | None = None,
    ) -> Receipt:
        """Approves a call that waits for a person, which is then made.

        Args:
            call: id of what waits, as in `status().waits_for` and `inbox`, or of the call if no other one has its id.
            edit: all arguments with which the call is made instead of the model's.
            always: also approve later calls of this tool in this run with the same arguments, or with the same values
                for the arguments of these names.
            id: as in `send`.
            by: who approves; never a run or an agent.

        Raises:
            CommandRefused: no such call waits, someone has decided before, the tool does not take the arguments, or a
                tool tries to approve; RunOver if the run has ended.
        """
        _check_person()
        chosen = always if isinstance(always, bool) else checked_names("always", always)
        return await self._command(Approve, call=call, edit=edit, always=chosen, id=id, by=by)

    async def deny(
        self,
        call: str,
        *,
        reason: str | None = None,
        id: str | None = None,  # noqa: A002 - the field's word
        by: str | None = None,
    ) -> Receipt:
        """Denies a call that waits for a person; the agent is told and continues.

        Args:
            call: as in `approve`.
            reason: for the agent.
            id: as in `send`.
            by: as in `approve`.

        Raises:
            CommandRefused: as in `approve`.
        """
        _check_person()
        return await self._command(Deny, call=call, reason=reason, id=id, by=by)

    async def answer(
        self,
        question: str | None,
        text: RunInput,
        *,
        id: str | None = None,  # noqa: A002 - the field's word
        by: str | None = None,
    ) -> Receipt:
        """Answers a question that the agent has asked with `ask_human`.

        Args:
            question: id of what waits, or of the call that asks; `None` means the only question that waits.
            text: the answer; if the question has options, one of them. Otherwise it may have images and files, as in
                `send`.
            id: as in `send`.
            by: as in `approve`.

        Raises:
            CommandRefused: no such question waits, someone has answered before, or the answer is none of the options,
                or has files although an MCP server asks.
            UsageError: an argument is not accepted.
        """
        _check_person()
        message = await self.inputs.message(text, "answer")
        return await self._command(Answer, question=question, **message, id=id, by=by)

    async def _command(self, kind: type[Command], **fields: Any) -> Receipt:
        return await self._commander.send(self.id, checked_command(kind, **fields))


def _check_person() -> None:
    """Refuses decisions of code that runs for an agent: only people decide.

    Raises:
        CommandRefused: this is a call of a tool.
    """
    if activity.in_activity():
        raise CommandRefused("only people approve, deny and answer; a tool that an agent calls cannot")


def checked_command(kind: type[C], **fields: Any) -> C:
    """Returns a command with the fields that are given.

    Raises:
        UsageError: one is not accepted.
    """
    required = {name for name, field in kind.model_fields.items() if field.is_required()}
    given = {
        name: value for name, value in fields.items() if name in required or (value is not None and value is not False)
    }
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = place_of(first)
        raise UsageError(f"{where}={shortened(repr(first['input']), 80)}: {reason_of(first)}") from None
