"""Makes the context of a model call from a run's entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from pydantic import ValidationError

from holdfast.errors import TranscriptUnavailable
from holdfast.types import AgentSpec, Context, Entry, EntryKind, RunId, TranscriptRef

KNOWN_KINDS = frozenset(get_args(EntryKind))


def context_of(run_id: RunId, entries: Sequence[Entry], upto: TranscriptRef) -> Context:
    """The definition and the messages in `entries`, which must be all of a run's up to and with `upto`.

    Raises:
        TranscriptUnavailable: they are not.
    """
    where = f"run {run_id!r} up to entry {upto.seq}"
    if [entry.seq for entry in entries] != list(range(upto.seq + 1)) or not entries:
        raise TranscriptUnavailable(f"the mirror has {len(entries)} of {upto.seq + 1} entries of {where}")
    if entries[-1].digest != upto.digest:
        raise TranscriptUnavailable(f"the mirror of {where} has another digest there")
    previous = ""
    for entry in entries:  # one digest vouches for all before it only if the chain holds
        if not entry.follows(previous):
            raise TranscriptUnavailable(f"the mirror of {where} is damaged at entry {entry.seq}")
        if entry.kind not in KNOWN_KINDS:  # it may change what the model is to see
            raise TranscriptUnavailable(
                f"entry {entry.seq} of run {run_id!r} is of kind {entry.kind!r}, which a newer version wrote"
            )
        previous = entry.digest
    try:
        spec = AgentSpec.model_validate(entries[0].data["agent"], extra="allow")
    except (KeyError, ValidationError):
        raise TranscriptUnavailable(f"entry 0 of run {run_id!r} carries no agent definition") from None
    return Context(spec=spec, messages=[message for entry in entries if (message := entry.message)])
