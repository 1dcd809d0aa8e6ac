"""Conversations that are saved: a line in a JSONL file, and a row in the database."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from holdfast._util.logger import get_logger
from holdfast.client.conversation_file import ConversationFile
from holdfast.client.forks import Forks
from holdfast.errors import StoreUnavailable, UsageError, WorkerUnavailable
from holdfast.ports.conversations import ConversationSource, SavedConversation
from holdfast.temporal.prefix import ReadLog
from holdfast.training_examples import openai_line
from holdfast.transcripts import Transcript
from holdfast.types import RunId

log = get_logger(__name__)


@dataclass(frozen=True)
class ConversationPlaces:
    """Where conversations are saved."""

    home: Path
    """The state folder, whose folder `conversations` has a file for each agent."""
    table: ConversationSource


class Conversations:
    """Saves the conversations of runs.

    Args:
        runs: reads their logs.
        places: where to save them; `None` means that the caller has to name a file, and that there is no table.
    """

    def __init__(self, runs: Forks, places: ConversationPlaces | None) -> None:
        self._runs = runs
        self._places = places

    async def save(self, run_id: RunId, file: str | Path | None, *, table: bool) -> Path:
        """Saves a conversation; see `RunHandle.save_conversation`."""
        if not (isinstance(run_id, str) and run_id):
            raise UsageError(f"id={run_id!r:.80} is not accepted: it is the id of a session or of a run")
        if file is not None and not (isinstance(file, str | Path) and str(file)):
            raise UsageError(f"file={file!r:.80} is not accepted: it is the path of a JSONL file, or None")
        if not isinstance(table, bool):
            raise UsageError(f"log={table!r:.80} is not accepted: it is True or False")
        saved = conversation_of(run_id, await self._runs.read(run_id))
        path = Path(file) if file is not None else await asyncio.to_thread(self._file_of, saved.agent)
        lines = ConversationFile(path)
        await asyncio.to_thread(lines.put, run_id, saved.chain, saved.head, saved.text.encode().rstrip(b"\n"))
        if table:
            await self._keep_row(saved, lines.path)
        return lines.path

    def _file_of(self, agent: str) -> Path:
        if self._places is None:
            raise UsageError("this client has no state folder: name the file to save in, as file='conversations.jsonl'")
        folder = self._places.home.absolute() / "conversations"
        try:
            for each in (*reversed(folder.parents), folder):
                each.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"the folder {str(folder)!r} cannot be made: {error.strerror}; name another place with file=, "
                "or set HOLDFAST_HOME"
            ) from error
        return folder / f"{quote(agent, safe=' ')}.jsonl"

    async def _keep_row(self, saved: SavedConversation, path: Path) -> None:
        store = self._places.table() if self._places else None
        if store is None:
            log.info("this client has no database, and writes no row of a conversation", run_id=saved.run_id)
            return
        try:
            await store.put(saved)
        except StoreUnavailable as error:
            raise StoreUnavailable(
                f"the conversation of {saved.run_id!r} is in {str(path)!r}, but not in the database ({error}); save it "
                "again, which leaves the file as it is"
            ) from error


def conversation_of(run_id: RunId, read: ReadLog) -> SavedConversation:
    """Returns the conversation that a log has, up to the last complete answer.

    Raises:
        UsageError: there is no answer yet.
        WorkerUnavailable: the newest entries cannot be read.
    """
    if read.missing is not None:
        raise WorkerUnavailable(f"the newest entries of run {run_id!r} cannot be read: {read.missing}")
    transcript = Transcript(read.entries)
    text, spec = openai_line(transcript), transcript.spec
    if text is None or spec is None:
        raise UsageError(f"run {run_id!r} has no answer yet, so there is no conversation to save")
    return SavedConversation(
        run_id=run_id,
        chain=read.chain,
        agent=spec.name,
        head=read.entries[-1].seq,
        at=datetime.now(UTC),
        messages=len(json.loads(text)["messages"]),
        text=text.encode("utf-8", "replace").decode(),  # what a file cannot hold is replaced, as in an export
    )
