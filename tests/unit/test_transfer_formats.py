"""Export formats for people and for training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from holdfast.ops.transfer.markdown import markdown_page
from holdfast.ops.transfer.record import RunRecord
from holdfast.ops.transfer.rows import from_json, to_json
from holdfast.ops.transfer.sharegpt import sharegpt_line
from holdfast.training_examples import openai_line
from holdfast.types import AgentSpec, Entry, RunError, RunStatus, RunSummary, ToolSpec

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPEC = AgentSpec(name="guide", tools=[ToolSpec(name="read_file", description="Reads.", activity="tool.read_file")])

SYSTEM = {"role": "system", "content": "You guide."}
QUESTION = {"role": "user", "content": "Where?"}
ANSWER = {"role": "assistant", "content": "Here."}


def calls(*ids: str, content: str = "", arguments: str = '{"path": "a"}') -> dict[str, Any]:
    """An answer that calls a tool."""
    made = [{"id": call, "name": "read_file", "arguments": arguments} for call in ids]
    return {"role": "assistant", "content": content, "tool_calls": made}


def result(call: str, content: str = "the file") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call, "content": content}


def record(*messages: dict[str, Any], error: RunError | None = None) -> RunRecord:
    """A run with this transcript."""
    data: list[tuple[str, dict[str, Any]]] = [("start", {"agent": SPEC.model_dump(mode="json"), "request": {}})]
    for seq, message in enumerate(messages):
        is_result = message["role"] == "tool"
        kind = "tool_result" if is_result else "message"
        data.append((kind, {"message": {"seq": seq, **message}} | ({"tool": "read_file"} if is_result else {})))
    entries = [
        Entry(seq=seq, at=BEGAN, kind=kind, turn=seq // 4, data=each, digest="")
        for seq, (kind, each) in enumerate(data)
    ]
    summary = RunSummary(run_id="run_1*", agent="guide", status=RunStatus.COMPLETED, started_at=BEGAN, error=error)
    return RunRecord(entries, summary)


def roles(line: str | None) -> Sequence[str]:
    return [message["role"] for message in json.loads(line or "{}").get("messages", [])]


def test_what_a_restore_left_behind_is_not_an_example() -> None:
    """Training data has the conversation that counts: the answer to which a run went back, and what followed."""
    run = record(SYSTEM, QUESTION, ANSWER, QUESTION, {"role": "assistant", "content": "Wrong."})
    again = {"seq": 5, "role": "user", "content": "And now?"}, {"seq": 6, "role": "assistant", "content": "There."}
    entries = list(run.entries)
    for kind, data in [("restored", {"to": 3}), *(("message", {"message": message}) for message in again)]:
        entries.append(Entry(seq=len(entries), at=BEGAN, kind=kind, turn=2, data=data, digest=""))
    line = json.loads(openai_line(RunRecord(entries, run.summary)) or "{}")
    assert [message["content"] for message in line["messages"]] == [
        "You guide.",
        "Where?",
        "Here.",
        "And now?",
        "There.",
    ]
    assert len(RunRecord(entries, run.summary).messages) == 7


def test_fields_of_a_provider_are_not_in_an_example() -> None:
    """What only its provider understands is not exported for training."""
    signed = [{"id": "1", "name": "read_file", "arguments": "{}", "provider_fields": {"extra_content": {"x": 1}}}]
    thought = {"role": "assistant", "content": "", "tool_calls": signed, "provider_fields": {"reasoning_content": "hm"}}
    line = openai_line(record(QUESTION, thought, result("1"), ANSWER))
    assert line is not None
    assert "reasoning_content" not in line
    assert "extra_content" not in line


def test_a_run_is_an_example_in_openais_format() -> None:
    """A run is exported as an example in OpenAI's format."""
    line = openai_line(record(SYSTEM, QUESTION, calls("1", "2"), result("1"), result("2"), ANSWER))
    assert line is not None
    assert line.endswith("}\n")
    example = json.loads(line)
    assert example["messages"][2] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": call, "type": "function", "function": {"name": "read_file", "arguments": '{"path": "a"}'}}
            for call in ("1", "2")
        ],
    }
    assert example["messages"][3] == {"role": "tool", "content": "the file", "tool_call_id": "1"}
    assert example["tools"][0]["function"]["name"] == "read_file"
    assert example["tools"][0]["function"]["parameters"]["type"] == "object"


CUT = [
    ("a question at the end", [SYSTEM, QUESTION, ANSWER, QUESTION], 3),
    ("unanswered calls", [SYSTEM, QUESTION, ANSWER, QUESTION, calls("1", "2"), result("1")], 3),
    ("an answer after a call without its result", [SYSTEM, QUESTION, calls("1"), ANSWER], 0),
    ("half an answer", [SYSTEM, QUESTION, ANSWER, QUESTION, {**ANSWER, "partial": True}], 3),
    ("a result at the end", [SYSTEM, QUESTION, ANSWER, QUESTION, calls("1"), result("1")], 3),
    ("no answer", [SYSTEM, QUESTION], 0),
    ("nothing", [], 0),
]


@pytest.mark.parametrize(("messages", "kept"), [case[1:] for case in CUT], ids=[case[0] for case in CUT])
def test_an_example_ends_with_a_whole_answer(messages: list[dict[str, Any]], kept: int) -> None:
    """Every example ends with a complete answer."""
    line = openai_line(record(*messages))
    assert len(roles(line)) == kept
    assert (line is None) == (sharegpt_line(record(*messages)) is None) == (kept == 0)


def test_arguments_that_are_no_json_do_not_spoil_the_file() -> None:
    """Malformed arguments are exported as valid JSON."""
    transcript = record(QUESTION, calls("1", arguments="{path"), result("1"), ANSWER)
    chat, shared = openai_line(transcript), sharegpt_line(transcript)
    assert chat is not None
    assert shared is not None
    arguments = json.loads(chat)["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {"malformed": "{path"}
    assert json.loads(json.loads(shared)["conversations"][1]["value"])["arguments"] == {"malformed": "{path"}


def test_a_run_is_a_conversation_in_sharegpt() -> None:
    """A run is exported as a ShareGPT conversation, with tool results."""
    line = sharegpt_line(record(SYSTEM, QUESTION, calls("1", "2", content="I look."), result("1"), result("2"), ANSWER))
    assert line is not None
    conversation = json.loads(line)
    assert [turn["from"] for turn in conversation["conversations"]] == [
        "system", "human", "gpt", "function_call", "function_call", "observation", "observation", "gpt",
    ]  # fmt: skip
    assert json.loads(conversation["conversations"][3]["value"]) == {"name": "read_file", "arguments": {"path": "a"}}
    assert json.loads(conversation["tools"])[0]["function"]["name"] == "read_file"


def test_a_page_shows_any_text_of_a_run() -> None:
    """The Markdown of a page stays intact with any text."""
    text = "before\n````\n# not a heading\n```python\n\x1b[2J"
    page = markdown_page(record(QUESTION | {"content": "```\nnever closed"}, calls("1"), result("1", text), ANSWER))
    assert "\n`````\nbefore\n````\n# not a heading\n```python\n\ufffd[2J\n`````\n" in page
    assert "> ```\n> never closed\n\n" in page
    assert "# run\\_1\\*\n" in page
    assert "\x1b" not in page
    assert page.count("\n## Turn") == 1


def test_a_page_says_how_a_failed_run_ended() -> None:
    """The page of a failed run says how it ended."""
    page = markdown_page(record(QUESTION, error=RunError(type="ModelRefused", message="no\n# more")))
    assert "**Ended: ModelRefused**\n\n> no\n> # more\n" in page


@pytest.mark.parametrize(
    "value", [{"a": [1, "x", {"b": BEGAN}]}, {"$time": "not a time"}, {"$object": {"$bytes": b"x"}}, b"\0", [], {}]
)
def test_values_of_the_database_travel_as_json(value: Any) -> None:
    """Database values survive the way through JSON."""
    assert from_json(json.loads(json.dumps(to_json(value)))) == value
