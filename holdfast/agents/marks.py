"""Requests of a tool to its run, beside its result: checkpoints, a place in the context, and progress to show."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from holdfast.agents.files import Image, Loaded
from holdfast.attachments import total_fault
from holdfast.bounds import MAX_NAME, Json, clean_text, shortened
from holdfast.call_progress import MAX_CHARS, CallProgress
from holdfast.checkpoints import MAX_DATA_BYTES
from holdfast.errors import UsageError
from holdfast.messages import MadeCheckpoint
from holdfast.types import ToolResult

MAX_CHECKPOINTS = 100  # of one call
MAX_FAULTS = 20  # of one call, so that a loop does not fill the log
MAX_CALL_BYTES = 4 * MAX_DATA_BYTES  # of the data of one call's checkpoints together
_JSON: TypeAdapter[Any] = TypeAdapter(Json)


@dataclass
class Marks:
    """What one call of a tool has asked for; nothing here raises, as a checkpoint must not end the work of a tool."""

    checkpoints: list[MadeCheckpoint] = field(default_factory=list)
    pinned: bool = False
    faults: list[str] = field(default_factory=list)
    """What could not be stored, for the worker's log."""
    progress: CallProgress | None = None
    """What the call has reported last."""
    images: list[Loaded] = field(default_factory=list)
    """Those that it has returned, for the model."""
    remarks: list[str] = field(default_factory=list)
    """Why an image is not shown, for the model."""
    events: int = 0
    """Number of events that it has emitted."""
    _room: int = MAX_CALL_BYTES

    def add_checkpoint(self, call: str, name: str, data: Any) -> str:
        """Adds a checkpoint, and returns its id; without the data if that cannot be stored.

        Args:
            call: identifies the call within the run.
            name: for people.
            data: anything.
        """
        made = MadeCheckpoint(id=f"{call}.{len(self.checkpoints) + 1}", name=shortened(clean_text(str(name)), MAX_NAME))
        if len(self.checkpoints) >= MAX_CHECKPOINTS:
            self.faults.append(f"checkpoint {made.name!r}: a call makes at most {MAX_CHECKPOINTS}")
            return made.id
        try:
            if data is not None:
                made.data = self._admitted(data)
        except Exception as error:  # noqa: BLE001 - a value of a tool may raise anything
            self.faults.append(f"the data of checkpoint {made.name!r} is left out: {error}")
        self.checkpoints.append(made)
        return made.id

    def enter_stage(self, name: str, percent: float | None) -> CallProgress:
        """Notes the stage that the call has entered, and returns its progress."""
        done = self.progress.percent if self.progress else None
        if percent is not None:
            given = _percent(percent)
            done = done if given is None else given
            if not _is_percent(percent) and len(self.faults) < MAX_FAULTS:
                shown = "it stays as it was" if given is None else f"it is shown as {given:g}"
                self.faults.append(f"progress {percent!r:.80} of stage {_line(name)!r} is not within 0 to 100: {shown}")
        return self._note(stage=_line(name), percent=done, text=None)

    def add_progress(self, done: float | str, text: str | None) -> CallProgress:
        """Notes how far the call is, and returns its progress.

        Args:
            done: the fraction that is done, or a text.
            text: what it is doing, beside a fraction.
        """
        known = self.progress or CallProgress()
        if isinstance(done, str):
            return self._note(stage=known.stage, percent=known.percent, text=_line(done))
        return self._note(
            stage=known.stage, percent=_percent(done, 100), text=known.text if text is None else _line(text)
        )

    def show(self, images: Sequence[Image], workspace: Path) -> None:
        """Reads images that the model is to be shown; of one that cannot be shown, it is told why."""
        for image in images:
            try:
                loaded = image.load(workspace)
                if fault := total_fault([*(each.attachment for each in self.images), loaded.attachment]):
                    raise UsageError(fault)
            except UsageError as error:
                self.remarks.append(f"[the image is not shown: {error}]")
            else:
                self.images.append(loaded)

    def mark(self, result: ToolResult) -> ToolResult:
        """Returns a result with what the call has asked for."""
        if self.remarks:
            result.content = "\n".join([result.content, *self.remarks])
        if self.checkpoints:
            result.checkpoints = self.checkpoints
        if self.pinned:
            result.pinned = True
        if self.progress is not None:
            result.progress = self.progress
        return result

    def _note(self, **reported: Any) -> CallProgress:
        self.progress = CallProgress(**{name: value for name, value in reported.items() if value is not None})
        return self.progress

    def _admitted(self, data: Any) -> Any:
        """Returns data as JSON values.

        Raises:
            ValueError: it is too large, or no JSON can hold it.
        """
        plain = _JSON.validate_python(to_jsonable_python(data, inf_nan_mode="constants"))
        size, limit = len(json.dumps(plain)), min(MAX_DATA_BYTES, self._room)
        if size > limit:
            raise ValueError(f"it has {size:,} bytes as JSON; the maximum is {limit:,}")
        self._room -= size
        return plain


def _line(text: Any) -> str:
    return shortened(" ".join(clean_text(str(text)).split()), MAX_CHARS)


def _percent(value: Any, times: int = 1) -> float | None:
    """Returns a number of percent within its bounds; `None` if it is not a number."""
    try:
        percent = float(value) * times
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(percent) else round(min(max(percent, 0.0), 100.0), 2)


def _is_percent(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 100
