"""The context of a model call, built from a run's entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from holdfast.context import context_of
from holdfast.errors import TranscriptUnavailable
from holdfast.types import Context, Entry, EntryKind, RunId, TranscriptRef

KNOWN_KINDS = frozenset(get_args(EntryKind))


def build_context(run_id: RunId, entries: Sequence[Entry], upto: TranscriptRef, later: Sequence[Entry] = ()) -> Context:
    """Returns the context of a run after its entries.

    Args:
        run_id: id of the run.
        entries: all entries of the run up to and including `upto`.
        upto: the last of these entries.
        later: the entries after `upto` that the context has, too.

    Raises:
        TranscriptUnavailable: entries are missing, altered, or of a kind that this version does not know.
    """
    where = f"run {run_id!r} up to entry {upto.seq}"
    if [entry.seq for entry in entries] != list(range(upto.seq + 1)) or not entries:
        raise TranscriptUnavailable(f"the mirror has {len(entries)} of {upto.seq + 1} entries of {where}")
    if entries[-1].digest != upto.digest:
        raise TranscriptUnavailable(f"the mirror of {where} has a different digest for that entry")
    previous = ""
    for entry in entries:  # a digest proves the entries before it only if the whole chain is valid
        if not entry.follows(previous):
            raise TranscriptUnavailable(f"the mirror of {where} is damaged at entry {entry.seq}")
        if entry.kind not in KNOWN_KINDS:  # it may change what the model should see
            raise TranscriptUnavailable(
                f"entry {entry.seq} of run {run_id!r} is of kind {entry.kind!r}, which only a newer version knows: "
                "update this worker"
            )
        previous = entry.digest
    try:
        return context_of([*entries, *later])
    except TranscriptUnavailable as error:
        raise TranscriptUnavailable(f"the mirror of run {run_id!r} is damaged: {error}") from None
