"""Typed answers: validated where their class is, repaired by the model, and typed again for the caller."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from holdfast import Agent, AgentDefinition, Holdfast, OutputInvalid, RunContext, RunStatus, ToolError, tool
from holdfast.errors import NoAnswer
from holdfast.testing import ModelServer, Reply
from holdfast.testing.agent_server import AgentServer
from holdfast.testing.killed_worker import Moment
from tests.support.lab import Lab, eventually
from tests.support.trees import Cast, asks


class Report(BaseModel):
    """What was found."""

    title: str
    pages: int

    @field_validator("title")
    @classmethod
    def _is_short(cls, title: str) -> str:
        if len(title) > 20:
            raise ValueError("the title must be short")
        return title


@tool(read_only=True)
def count(word: str) -> int:
    """Counts pages."""
    return len(word)


reporter = Agent(name="reporter", system_prompt="reporter", tools=[count], output_type=Report)
ROPES = '{"title": "Ropes", "pages": 3}'


async def test_output_repaired_then_typed(lab: Lab) -> None:
    """A wrong answer is repaired by the model, which reads pydantic's own errors, and the result is typed."""
    lab.server.call_tools(("count", {"word": "abc"}))
    lab.server.say('{"title": "A title that is much too long", "pages": "many"}')
    lab.server.say(ROPES)
    async with lab.worker(reporter):
        result = await lab.holdfast.run(reporter, "Report.")
        assert (result.output, result.content) == (Report(title="Ropes", pages=3), '{"title":"Ropes","pages":3}')
        await lab.assert_mirrored(result.run_id)
        by_id = await lab.holdfast.handle(result.run_id).result()
        assert by_id.output == {"title": "Ropes", "pages": 3}
        [repair] = [entry for entry in await lab.entries(result.run_id) if "repair" in entry.data]
    first, _, last = [request.body for request in lab.server.requests]
    assert first["response_format"]["json_schema"]["strict"] is True
    assert last["messages"][-1] == {"role": "user", "content": repair.data["message"]["content"]}
    told = last["messages"][-1]["content"]
    assert "title: Value error, the title must be short" in told
    assert 'pages: Input should be a valid integer, unable to parse string as an integer (got "many")' in told


async def test_output_never_valid_fails(lab: Lab) -> None:
    """After its repairs a run fails with OutputInvalid, which has the model's last text, and no placeholder.

    A session continues: each answer has its own repairs.
    """
    for text in ("one", "two", "three"):
        lab.server.say(text)
    async with lab.worker(reporter, max_cached_workflows=100):
        session = lab.holdfast.session("typed-session", reporter)
        answer = await session.ask("Report.")
        assert (answer.content, answer.error and answer.error.type) == ("three", "OutputInvalid")
        with pytest.raises(NoAnswer, match="not valid after 2 repairs: Your answer is not valid JSON"):
            _ = answer.output
        lab.server.say("four")
        lab.server.say(ROPES)
        assert (await session.ask("Again.")).output == Report(title="Ropes", pages=3)
        lab.server.say("five")
        lab.server.say("six")
        result = await lab.holdfast.run(
            Agent(name="reporter", output_type=Report, output_retries=1), "Report.", tags={"a": "b"}
        )
        assert (result.status, result.content, result.run.typed) == (RunStatus.FAILED, "six", False)
        with pytest.raises(OutputInvalid, match="after one repair"):
            _ = result.output
        await lab.assert_mirrored(result.run_id)


async def test_own_validators_ask_for_repairs_and_fail_openly(lab: Lab) -> None:
    """An `output_validator` has an answer repaired by ToolError, may replace it, and fails the run if it breaks."""

    async def check(report: Report, context: RunContext) -> Report | None:
        if report.title == "Break":
            raise ZeroDivisionError("by nothing")
        if report.pages < 3:
            raise ToolError(f"{context.agent} needs three pages")
        return report.model_copy(update={"title": "Checked"}) if report.pages > 3 else None

    checked = Agent(name="checked", output_type=Report, output_validator=check, output_retries=1)
    for text in ('{"title": "a", "pages": 2}', '{"title": "a", "pages": 4}', '{"title": "Break", "pages": 4}'):
        lab.server.say(text)
    async with lab.worker(checked):
        result = await lab.holdfast.run(checked, "Report.")
        assert result.output == Report(title="Checked", pages=4)
        assert "checked needs three pages" in lab.server.requests[1].messages[-1]["content"]
        broken = await lab.holdfast.run(checked, "Report.")
        assert broken.run.error
        assert broken.run.error.type == "OutputInvalid"
        assert "ZeroDivisionError: by nothing" in broken.run.error.message
    assert len(lab.server.requests) == 3, "the model is not asked to repair what it has not broken"


async def test_a_schema_is_validated_by_any_worker(lab: Lab) -> None:
    """An agent that is only data is validated by its JSON schema; a parent reads the JSON of a typed child."""
    schema: dict[str, Any] = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}
    counter = AgentDefinition(name="counter", system_prompt="counter", output_schema=schema, output_retries=1)
    parent = Agent(name="parent", system_prompt="parent", agents=[reporter], output_type=list[str])
    Cast(
        lab,
        counter=[Reply('{"result": [1, 1]}'), Reply("```json\n[1, 2]\n```")],
        reporter=Reply(ROPES),
        parent=[asks("reporter", "What?"), Reply('{"result": ["done"]}')],
    )
    async with lab.worker(parent):
        result = await lab.holdfast.run(counter, "Count.")
        assert (result.output, result.content) == ([1, 2], "[1, 2]")
        assert "non-unique" in lab.server.requests[1].messages[-1]["content"]
        assert (await lab.holdfast.run(parent, "Ask.")).output == ["done"]
        assert lab.server.requests[-1].messages[-1]["content"] == '{"title":"Ropes","pages":3}'


async def test_a_run_waits_for_a_worker_with_its_type(lab: Lab) -> None:
    """If no worker has the agent's code, the run says what it waits for, and continues when one comes."""
    lab.server.say(ROPES)
    only = Agent(name="only", output_type=Report)
    async with lab.worker():
        handle = await lab.holdfast.start(only, "Report.")

        async def waits() -> bool:
            return "a worker that has the output type of agent 'only'" in (await handle.status()).doing

        await eventually(waits)
    async with lab.worker(only):
        assert (await handle.result(60)).output == Report(title="Ropes", pages=3)


def test_a_worker_is_killed_while_it_validates(
    model: ModelServer, serve: AgentServer, hf: Holdfast, kill_at: Callable[[str, Moment], None]
) -> None:
    """Another worker validates the answer, and the model is not asked again."""
    kill_at("agent.output", "during")
    serve(reporter)
    model.say(ROPES)
    assert asyncio.run(hf.run(reporter, "Report.")).output == Report(title="Ropes", pages=3)
    model.assert_complete()
    assert len(model.requests) == 1
