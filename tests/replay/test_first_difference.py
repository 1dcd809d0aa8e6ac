"""First differences that replays name, between recorded histories and other workflow code."""

from __future__ import annotations

import gzip
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

from holdfast import names
from holdfast.composition.replay import history_replayer
from holdfast.errors import UsageError
from holdfast.temporal.converter import DATA_CONVERTER
from holdfast.temporal.replay.difference import Difference
from holdfast.temporal.replay.histories import history_in
from holdfast.workflows.embed_memories import EmbedMemories
from holdfast.workflows.run.tool_calls import ToolCaller

HISTORIES = Path(__file__).parent / "histories"
WITH_TOOLS = HISTORIES / "answers_after_tools.json.gz"

Patch = pytest.MonkeyPatch


async def difference(history: WorkflowHistory) -> Difference | None:
    """The first difference of a history from the code as it is now."""
    return await history_replayer(DATA_CONVERTER).replay(history)


def other_model(patch: Patch) -> None:
    """Model calls have another type."""
    patch.setattr(names, "MODEL_CALL", "model.ask")


def before_each_tool(step: Callable[[], Awaitable[object]]) -> Callable[[Patch], None]:
    """Each tool call is preceded by a step."""

    def change(patch: Patch) -> None:
        execute = ToolCaller._execute

        async def changed(caller: ToolCaller, *arguments: Any, **options: Any) -> Any:
            await step()
            return await execute(caller, *arguments, **options)

        patch.setattr(ToolCaller, "_execute", changed)

    return change


async def sleep() -> None:
    """Waits for a minute."""
    await workflow.sleep(60)


async def fail() -> None:
    """A mistake."""
    raise KeyError("no such thing")


async def hang() -> None:
    """Waits for what never comes."""
    await workflow.wait_condition(lambda: False)


async def set_memo() -> None:
    """Records something."""
    workflow.upsert_memo({"seen": True})


def embeds_no_more(patch: Patch) -> None:
    """A mistake that fails the workflow task."""

    async def changed(_workflow: EmbedMemories, _request: object) -> int:
        raise KeyError("no such thing")

    patch.setattr(EmbedMemories, "_embed_batch", changed)


Change = Callable[[Patch], None]
FIND = "calls tool.find: find(word=a)"
CASES: dict[str, tuple[str, Change, str, str, str]] = {
    "a call of another type": (
        "answers_after_tools", other_model, "model.call",
        "calls model.call: turn 1 · scripted", "calls model.ask: turn 1 · scripted",
    ),
    "a timer": ("answers_after_tools", before_each_tool(sleep), "tool.find", FIND, "starts a timer of 60 s"),
    "a memo": ("answers_after_tools", before_each_tool(set_memo), "tool.find", FIND, "sets the memo"),
    "an error": (
        "answers_after_tools", before_each_tool(fail), "tool.find", FIND,
        "ends the run as failed: the run cannot continue: KeyError: 'no such thing'",
    ),
    "a call less": (
        "answers_after_tools", before_each_tool(hang), "tool.find", FIND,
        "does nothing more at this place",
    ),
    "a failing task": (
        "embeds_memories", embeds_no_more, "memory.embed", "calls memory.embed: the next that wait in recorded",
        "raises KeyError: 'no such thing'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
async def test_replay_names_first_difference(case: str, monkeypatch: Patch) -> None:
    """The first event that the code does not agree with is named, with what was done then and what is done now."""
    scenario, change, kind, recorded, decided = CASES[case]
    history = history_in(HISTORIES / f"{scenario}.json.gz")
    assert await difference(history) is None
    change(monkeypatch)
    found = await difference(history)
    assert found is not None
    kinds = [event.activity_task_scheduled_event_attributes.activity_type.name for event in history.events]
    assert (found.event_id, found.event_type) == (kinds.index(kind) + 1, "ActivityTaskScheduled")
    assert (found.history, found.code) == (recorded, decided)


async def test_a_history_that_was_altered_differs() -> None:
    """A history whose steps the code did not take differs in the first of them, whatever kind it is."""
    history = history_in(WITH_TOOLS)
    ended = history.events[-1]
    ended.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW
    ended.workflow_execution_continued_as_new_event_attributes.SetInParent()
    found = await difference(history)
    assert found is not None
    assert (found.event_id, found.history, found.code) == (ended.event_id, "continues as new", "completes")
    history.events[0].workflow_execution_started_event_attributes.workflow_type.name = "Nonesuch"
    found = await difference(history)
    assert found is not None
    assert found.event_type == "MarkerRecorded"
    assert found.history == "calls run.prepare within its workflow task"
    assert found.code.startswith("fails: ")


async def test_a_history_replays_at_each_moment() -> None:
    """The history of an open run replays whatever it waits for."""
    whole = history_in(WITH_TOOLS)
    for events in range(1, len(whole.events)):
        assert await difference(WorkflowHistory(whole.workflow_id, whole.events[:events])) is None


def as_list(document: dict[str, Any]) -> bytes:
    """Only the events, as an older UI writes them."""
    return json.dumps(document["events"]).encode()


def in_words_of_the_cli(document: dict[str, Any]) -> bytes:
    """With the event types of older tools, compressed."""
    for event in document["events"]:
        words = event["eventType"].removeprefix("EVENT_TYPE_").split("_")
        event["eventType"] = "".join(word.capitalize() for word in words)
    return gzip.compress(json.dumps(document).encode())


@pytest.mark.parametrize("write", [as_list, in_words_of_the_cli])
async def test_downloads_of_all_tools_are_read(write: Callable[[dict[str, Any]], bytes], tmp_path: Path) -> None:
    """A history is read in the forms that Temporal's tools write, with the id of its run."""
    file = tmp_path / "history"
    file.write_bytes(write(json.loads(gzip.decompress(WITH_TOOLS.read_bytes()))))
    history = history_in(file)
    assert history.workflow_id == history_in(WITH_TOOLS).workflow_id
    assert await difference(history) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"events": [{}]}', b'{"events": [{"eventId": "x"}]}', b"\x1f\x8bnot gzip", b"\xff\xfe"],
)
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    """A file without a history is refused with its name and how to download one."""
    file = tmp_path / "other.json"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"other.json' does not have a history .*temporal workflow show"):
        history_in(file)
    with pytest.raises(UsageError, match=r"cannot be read: Is a directory"):
        history_in(tmp_path)
