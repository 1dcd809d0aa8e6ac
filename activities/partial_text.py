"""The text of a reply as it arrives, and what the attempt has used so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from temporalio import activity

from holdfast.estimates import request_tokens, text_size, tokens
from holdfast.model_reply import ModelReply, TriedModel
from holdfast.ports.telemetry import ModelObservation
from holdfast.protocol import ModelProgress
from holdfast.types import Context, Usage

SHOWN_CHARS = 8_000  # of the text so far in each heartbeat: more than a model writes between two heartbeats


class PartialText:
    """The text of a reply as it arrives.

    Args:
        turn: the number of the turn.
        lost: what earlier attempts have used.
    """

    def __init__(self, turn: int, lost: Usage) -> None:
        self._turn = turn
        self._lost = lost
        self._pieces: list[str] = []
        self._number = activity.info().attempt
        self._input_tokens: int | None = None
        self._has_told = False
        self.settled = 0
        """Number of the last request of this attempt that has ended before another one; 0 means that there is none."""
        self.context: Context | None = None
        """What the request has sent; `None` means that it is not sent yet."""
        self.observation = ModelObservation()
        """Receives what the attempt does."""
        self.listener: Callable[[str], None] | None = None
        """Called with each piece."""
        self.tried: list[TriedModel] = []
        """The models that did not answer, and whose text is discarded."""

    @property
    def model(self) -> str | None:
        """The model that is asked; `None` means the worker's default model."""
        models = self.context.spec.models if self.context else []
        return next(iter(models[len(self.tried) :]), None)

    @property
    def lost(self) -> Usage:
        """What earlier attempts and discarded replies have used."""
        return self._lost

    @property
    def spent(self) -> Usage:
        """What the call has used so far, if it fails now: a provider that answers with an error bills nothing."""
        return self._lost + self.estimate() if self._pieces else self._lost

    def begin(self, number: int, tried: Sequence[TriedModel]) -> None:
        """Discards the text, as another request to a model begins.

        Args:
            number: number of the request within the call.
            tried: the models that did not answer before.
        """
        self._lost = self.spent
        self._pieces.clear()
        self._number, self.tried = number, list(tried)

    def settle(self, usage: Usage) -> None:
        """Takes note that a request has ended, whatever its outcome, and that another one may follow.

        Args:
            usage: what the call has used so far.
        """
        self._lost, self.context, self._input_tokens = usage, None, None
        self._pieces.clear()
        self.settled, self._has_told = self._number, True

    def add(self, piece: str) -> None:
        """Adds the next piece."""
        self._pieces.append(piece)
        if self.listener:
            self.listener(piece)

    def __str__(self) -> str:
        return "".join(self._pieces)

    def estimate(self) -> Usage:
        """Returns what this attempt has used, estimated, as providers report no usage for a stream that was closed."""
        if self.context is None:
            return Usage()
        if self._input_tokens is None:
            self._input_tokens = request_tokens(self.context.spec, self.context.messages)
        written = tokens(sum(map(text_size, self._pieces)))
        return Usage(requests=1, input_tokens=self._input_tokens, output_tokens=written, unpriced=1)

    def progress(self) -> ModelProgress:
        """Returns the details of a heartbeat."""
        self._has_told = True
        text = str(self)
        offset = max(len(text) - SHOWN_CHARS, 0)
        progress = ModelProgress(turn=self._turn, attempt=self._number, offset=offset, text=text[offset:])
        if self.tried:
            progress.tried = self.tried
        if self.context or self._lost.requests:
            progress.spent = self._lost + self.estimate() if self._lost.requests else self.estimate()
        return progress

    def fail(self) -> Usage:
        """Tells the next attempt what this one and earlier ones have used, and returns it.

        A provider that answers with an error bills nothing.
        """
        if not self._pieces:
            self.context = None
        if self._pieces or self._has_told:
            activity.heartbeat(self.progress())
        return self.spent

    def reply(self, seconds: float) -> ModelReply:
        """Returns the text so far as a reply that a cancel has interrupted."""
        reply = ModelReply(
            content=str(self),
            model=self.model or "unknown",
            finish_reason="cancelled",
            partial=True,
            usage=self.estimate() if self.context else Usage(requests=1),
            seconds=round(seconds, 3),
        )
        if self.tried:
            reply.tried = self.tried
        return reply
