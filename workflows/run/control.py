"""The commands of a run: parsed, checked, recorded and carried out at once, each of them one time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ValidationError

    from holdfast.bounds import shortened
    from holdfast.carried import CommandAnswer
    from holdfast.commands import COMMANDS, Command, Receipt
    from holdfast.errors import ErrorType
    from holdfast.rejection import place_of, reason_of
    from holdfast.types import RunStatus
    from holdfast.workflows import workflow_time
    from holdfast.workflows.run.state import RunState

C = TypeVar("C", bound=Command)
M = TypeVar("M", bound=BaseModel)

KEPT_ANSWERS = 1_000
"""Commands whose ids are remembered; each takes some 100 bytes of what a run carries when it continues as new."""
MAX_EARLY = 100
"""Commands that wait for a run to begin."""
GIVEN_CHARS = 500  # of a refused signal, which its entry shows


class RefusedCommand(ApplicationError):
    """The error of an update that is refused."""

    def __init__(self, message: str, kind: ErrorType) -> None:
        super().__init__(message, type=kind, non_retryable=True)

    @property
    def failure(self) -> Failure:
        """What Temporal is told: without a stack trace, which its UI and CLI would show to a person."""
        info = ApplicationFailureInfo(type=self.type or "", non_retryable=True)
        return Failure(message=self.message, source="PythonSDK", application_failure_info=info)


class Refusal(Exception):
    """A command cannot be carried out; the message says why, and what to do."""


@dataclass(frozen=True)
class Handler:
    """What a command does."""

    apply: Callable[[Any, int], None]
    """Carries out a command; its second argument is the entry that records it. It never awaits."""
    check: Callable[[Any], None] = lambda _command: None
    """Raises a Refusal if the command cannot be carried out now; changes nothing."""
    note: Callable[[], str | None] = lambda: None
    """Returns what has to happen before the command takes effect, see `Receipt.note`."""


@dataclass
class Control:
    """Takes the commands of a run, from its first moment to its last.

    Commands that arrive before the run has begun are kept, and carried out when it does.
    """

    _handlers: dict[type[Command], Handler] = field(default_factory=dict)
    _state: RunState | None = None
    _answers: dict[str, CommandAnswer] = field(default_factory=dict)
    """By command id, oldest first."""
    _early: list[Command] = field(default_factory=list)
    _is_handed_over: bool = False
    _early_signals: list[tuple[str, str, Any]] = field(default_factory=list)

    def begin(self, state: RunState, handlers: dict[type[Command], Handler]) -> None:
        """Begins to carry out commands, first those that have arrived already."""
        self._state = state
        self._handlers = handlers
        self._answers = state.answers
        for name, reason, given in self._early_signals:
            state.record_refusal(workflow_time.now(), name, reason, given)
        early, self._early = self._early, []
        for command in early:
            try:
                if not self._is_repeated(command):  # a run that continues as new knows the commands before
                    self._check(command)
                    self._carry_out(command)
            except Refusal as refusal:
                state.record_refusal(workflow_time.now(), command.NAME, str(refusal), _content(command), id=command.id)

    def hand_over(self) -> None:
        """Refuses all further commands, as the next execution of the run takes them: its state has been handed over.

        An update that comes with the results that end an execution is handled after them.
        """
        self._is_handed_over = True

    def validate(self, kind: type[Command], given: RawValue) -> None:
        """Checks an update without changing anything.

        Raises:
            ApplicationError: it is refused; `type` is an ErrorType.
        """
        try:
            command = self._parse(kind, given, workflow.current_update_info())
            if not self._is_repeated(command):
                self._check(command)
        except Refusal as refusal:
            raise RefusedCommand(str(refusal), self._refusal_type()) from None

    def update(self, kind: type[Command], given: RawValue) -> Receipt:
        """Carries out an update that has passed `validate`, and returns its receipt."""
        command = self._parse(kind, given, workflow.current_update_info())
        return self._known_receipt(command) or self._take(command)

    def signal(self, kind: type[Command], *given: Any) -> None:
        """Carries out a signal, or records why it cannot be carried out."""
        try:
            if len(given) > 1:
                raise Refusal(f"{kind.NAME} takes one argument, not {len(given)}")
            command = self._parse(kind, given[0] if given else None, None)
            if not self._is_repeated(command):
                self._check(command)
                self._take(command)
        except Refusal as refusal:
            self._record_refusal(kind.NAME, str(refusal), [_shown(value) for value in given])

    def refuse_signal(self, name: str, given: Sequence[RawValue]) -> None:
        """Records a signal whose name is not known."""
        self._record_refusal(name, self.unknown(name).message, [_shown(value) for value in given])

    def parsed(self, name: str, kind: type[M], given: Sequence[Any]) -> M | None:
        """Returns what another run has sent by a signal; `None` if it is malformed, which is recorded."""
        try:
            value = _decoded(given[0]) if given and isinstance(given[0], RawValue) else (given or [None])[0]
            return kind.model_validate(value)
        except (Refusal, ValidationError) as error:
            reason = str(error) if isinstance(error, Refusal) else f"{name}: {_problems(error)}"
            self._record_refusal(name, reason, [_shown(each) for each in given])
            return None

    def unknown(self, name: str) -> ApplicationError:
        """Returns the error for a command whose name is not known."""
        known = ", ".join(sorted(command.NAME for command in COMMANDS))
        text = f"there is no command {shortened(name, 80)!r}; the commands are {known}"
        return RefusedCommand(text, ErrorType.COMMAND_REFUSED)

    def _parse(self, kind: type[C], given: RawValue | None, update: workflow.UpdateInfo | None) -> C:
        """Returns the command; one without an id of its own has that of its update."""
        value = _decoded(given)
        if value is None:
            value = {}
        elif isinstance(value, str) and kind.TEXT is not None:
            value = {kind.TEXT: value} if value else {}
        elif isinstance(value, str) and not value:
            value = {}
        if not isinstance(value, dict):
            raise Refusal(f"{kind.NAME}: {shortened(json.dumps(value), 80)} is not a JSON object{_example(kind)}")
        try:
            command = kind.model_validate(value)
        except ValidationError as error:
            raise Refusal(f"{kind.NAME}: {_problems(error)}{_example(kind)}") from None
        if command.id is None and update is not None:
            command.id = shortened(update.id, 200)
        return command

    def _check(self, command: Command) -> None:
        state = self._state
        if self._is_handed_over:
            raise Refusal("the run continues in a new execution at this moment; send the command again")
        if state is None:
            if len(self._early) >= MAX_EARLY:
                raise Refusal(f"{MAX_EARLY} commands wait for the run to begin; send more when it has begun")
            return
        if state.status.is_final:
            raise Refusal(f"run {state.run_id!r} has ended ({state.status}); to continue from it, fork it")
        handler = self._handlers.get(type(command))
        if handler is None:
            raise Refusal(f"this run takes no {command.NAME}")
        handler.check(command)

    def _take(self, command: Command) -> Receipt:
        if self._state is None:
            self._early.append(command)
            if command.id is not None:
                self._remember(command, CommandAnswer(digest=_digest(command), seq=None, state=RunStatus.QUEUED))
            return Receipt(id=command.id or command.NAME, seq=None, state=RunStatus.QUEUED)
        return self._carry_out(command)

    def _carry_out(self, command: Command) -> Receipt:
        state = self._state
        assert state is not None, "only a run that has begun carries out commands"
        seq = state.head.seq + 1
        if command.id is None:
            command.id = f"{command.NAME}-{seq}"
        state.record_command(workflow_time.now(), command)
        handler = self._handlers[type(command)]
        handler.apply(command, seq)
        answer = CommandAnswer(digest=_digest(command), seq=seq, state=state.next_status)
        if (note := handler.note()) is not None:
            answer.note = note
        self._remember(command, answer)
        return _receipt(command.id, answer)

    def _remember(self, command: Command, answer: CommandAnswer) -> None:
        assert command.id is not None
        self._answers[command.id] = answer
        while len(self._answers) > KEPT_ANSWERS:
            del self._answers[next(iter(self._answers))]

    def _known_receipt(self, command: Command) -> Receipt | None:
        known = self._answers.get(command.id or "")
        return _receipt(command.id or "", known) if known else None

    def _is_repeated(self, command: Command) -> bool:
        """Whether the command has been carried out already.

        Raises:
            Refusal: another command had its id.
        """
        known = self._answers.get(command.id or "")
        if known is None:
            return False
        if known.digest != _digest(command):
            raise Refusal(
                f"the id {shortened(command.id or '', 80)!r} was used for a command with other content; use a new id"
            )
        return True

    def _record_refusal(self, name: str, reason: str, given: Any) -> None:
        state = self._state
        workflow.logger.warning("signal %s is refused: %s", shortened(name, 80), reason)
        if state is None:
            if len(self._early_signals) < MAX_EARLY:
                self._early_signals.append((name, reason, given))
        elif not state.status.is_final:  # the log of an ended run is complete
            state.record_refusal(workflow_time.now(), name, reason, given)

    def _refusal_type(self) -> ErrorType:
        state = self._state
        if self._is_handed_over:
            return ErrorType.CONTINUES
        if state is None or not state.status.is_final:
            return ErrorType.COMMAND_REFUSED
        return ErrorType.SESSION_OVER if state.request.session else ErrorType.RUN_OVER


def _receipt(command_id: str, answer: CommandAnswer) -> Receipt:
    receipt = Receipt(id=command_id, seq=answer.seq, state=answer.state)
    if answer.note is not None:
        receipt.note = answer.note
    return receipt


def _decoded(given: RawValue | None) -> Any:
    """Returns the JSON value that a handler was sent; `None` if it was sent nothing.

    Raises:
        Refusal: it is not JSON.
    """
    if given is None or not given.payload.metadata:
        return None
    try:
        return workflow.payload_converter().from_payload(given.payload)
    except Exception as error:  # noqa: BLE001 - a payload that is not JSON can raise any error
        raise Refusal(f"its argument cannot be read as JSON: {shortened(str(error), 200)}") from None


def _shown(given: Any) -> Any:
    """Returns what a refused signal was sent, cut if it is long."""
    try:
        value = _decoded(given) if isinstance(given, RawValue) else given
    except Refusal:
        value = given.payload.data.decode("utf-8", "replace")
    text = json.dumps(value)
    return value if len(text) <= GIVEN_CHARS else shortened(text, GIVEN_CHARS)


def _problems(error: ValidationError) -> str:
    found = []
    for item in error.errors()[:5]:
        place = place_of(item)
        given = shortened(json.dumps(item["input"], default=str), 80)
        found.append(
            f"{place}: {reason_of(item)} (got {given})" if item["type"] != "missing" else f"{place} is missing"
        )
    return "; ".join(found)


def _example(kind: type[Command]) -> str:
    """Returns what a command takes, from the words that Temporal's UI shows."""
    _, found, example = kind.DESCRIPTION.partition(": {")
    return f"; it takes {{{example}" if found else ""


def _content(command: Command) -> dict[str, Any]:
    return command.model_dump(mode="json", exclude_unset=True, exclude={"id", "by"})


def _digest(command: Command) -> str:
    """Identifies what a command does, whoever sends it."""
    content = command.model_dump(mode="json", exclude={"id", "by"}, exclude_defaults=True)
    return hashlib.sha256(json.dumps([command.NAME, content], sort_keys=True).encode()).hexdigest()[:32]
