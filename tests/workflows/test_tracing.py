"""Traces of runs: one span for each run, and one for each attempt of a call, whatever is replayed or repeated."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from holdfast import Agent, Block, tool
from holdfast.agents.own_code import spec_of
from holdfast.composition.code_worker import CodeWorker
from holdfast.composition.telemetry import Observability, observability
from holdfast.ops.doctor import Reconciler, RunFinder
from holdfast.storage.persistence import Persistence
from holdfast.telemetry.attributes import CONTENT
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.testing import Reply
from tests.support.lab import Lab, eventually
from tests.support.many_turns import walk, walker
from tests.support.otlp import OtlpReceiver, assert_one_tree, otlp_receiver
from tests.support.trees import Cast, agent, asks

SECRET = "the-secret-of-the-harbour"
clerk = Agent(name="clerk", description="Knows what is in stock.", system_prompt="clerk")
boss = agent("boss", clerk)


@tool(read_only=True, retries=1)
def look(word: str) -> str:
    """Looks something up; fails the first time."""
    looked[word] += 1
    if looked[word] == 1:
        raise ValueError(f"no {word} yet")
    return f"found {word}"


looked: Counter[str] = Counter()
seeker = Agent(name="seeker", system_prompt=f"You seek {SECRET}.", tools=[look])


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    """What receives the spans of the test's worker."""
    with otlp_receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        yield receiver


@asynccontextmanager
async def traced(lab: Lab, receiver: OtlpReceiver, **settings: Any) -> AsyncIterator[Observability]:
    """Opens what a worker needs to send spans to a receiver; when it closes, all have arrived."""
    model = {"openai_base_url": lab.server.url, "openai_model": "test-model"}
    wanted = lab.settings.model_copy(update={"otel_exporter_otlp_endpoint": receiver.url, **model, **settings})
    async with observability(wanted, lab.client) as observed:
        yield observed


async def test_a_run_is_one_trace_without_content(lab: Lab, receiver: OtlpReceiver) -> None:
    """Each call has a span with the attributes of the conventions, each attempt its own; none quotes the conversation.

    Each workflow task replays the whole run here, which adds no span.
    """
    looked.clear()
    lab.server.call_tools(("look", {"word": SECRET}))
    lab.server.reply(Reply.error(503, SECRET, headers={"Retry-After": "0"}))
    lab.server.say(f"It is {SECRET}.")
    async with traced(lab, receiver) as observed, lab.worker(seeker, observed=observed):
        handle = await lab.holdfast.start("seeker", f"Seek {SECRET}.")
        result = await handle.result(60)
        assert receiver.named("invoke_agent seeker"), "the run's span is sent before the run has ended"
    spans = receiver.of(handle.id)
    assert spans == receiver.spans
    root = assert_one_tree(spans)
    assert Counter(span.name for span in spans) == {
        "invoke_agent seeker": 1,
        "chat test-model": 3,
        "execute_tool look": 2,
    }
    assert {span.parent for span in spans if span is not root} == {root.id}
    usage = result.usage
    told = root.attributes
    assert (told["gen_ai.operation.name"], told["gen_ai.agent.name"]) == ("invoke_agent", "seeker")
    assert told["holdfast.run.status"] == "completed"
    assert (told["gen_ai.usage.input_tokens"], told["holdfast.run.turns"]) == (usage.input_tokens, 2)
    assert root.service == "holdfast-worker"
    first, refused, last = sorted(receiver.named("chat test-model"), key=lambda span: span.raw.start_time_unix_nano)
    assert first.attributes["gen_ai.response.finish_reasons"] == ["tool_calls"]
    assert (refused.is_error, refused.attributes["error.type"]) == (True, "ModelUnavailable")
    assert [span.attributes["holdfast.attempt"] for span in (first, refused, last)] == [1, 1, 2]
    tokens = [span.attributes.get("gen_ai.usage.output_tokens", 0) for span in (first, refused, last)]
    assert sum(tokens) == usage.output_tokens
    failed, found = sorted(receiver.named("execute_tool look"), key=lambda span: span.raw.start_time_unix_nano)
    assert (failed.is_error, failed.attributes["error.type"], found.is_error) == (True, "tool_error", False)
    assert found.attributes["gen_ai.tool.call.id"]
    assert all(root.raw.start_time_unix_nano <= span.raw.start_time_unix_nano for span in spans)
    assert not any(SECRET in str(span.raw) for span in spans)
    assert not any(name in span.attributes for span in spans for name in CONTENT)


async def test_content_is_traced_only_if_asked_for(lab: Lab, receiver: OtlpReceiver) -> None:
    """With TRACE_CONTENT spans have prompts, arguments, results, answers, and what guards see and say."""

    def guard(text: str) -> Block | None:
        return None if SECRET in text else Block("nothing to seek")

    asked = Agent(name="seeker", system_prompt=f"You seek {SECRET}.", tools=[look], input_guards=[guard])
    looked.clear()
    looked[SECRET] = 1
    lab.server.call_tools(("look", {"word": SECRET}))
    lab.server.say(f"It is {SECRET}.")
    async with traced(lab, receiver, trace_content=True) as observed, lab.worker(asked, observed=observed):
        await lab.holdfast.run("seeker", "Seek.")
        await receiver.wait_for("guard guard", "invoke_agent seeker")
        spans, receiver.spans = receiver.spans, []
        await lab.holdfast.run("seeker", f"Seek {SECRET}.")
    [blocked] = [span for span in spans if span.name == "guard guard"]
    assert (blocked.attributes["holdfast.check.text"], blocked.attributes["holdfast.check.reason"]) == (
        "Seek.",
        "nothing to seek",
    )
    [root] = receiver.named("invoke_agent seeker")
    [called] = receiver.named("execute_tool look")
    last = max(receiver.named("chat test-model"), key=lambda span: span.raw.start_time_unix_nano)
    assert json.loads(root.attributes["gen_ai.output.messages"])[0]["parts"][0]["content"] == f"It is {SECRET}."
    assert json.loads(called.attributes["gen_ai.tool.call.arguments"]) == {"word": SECRET}
    assert called.attributes["gen_ai.tool.call.result"] == f"found {SECRET}"
    assert SECRET in last.attributes["gen_ai.system_instructions"]
    sent = json.loads(last.attributes["gen_ai.input.messages"])
    assert [message["role"] for message in sent] == ["user", "assistant", "tool"]


async def test_guards_and_validators_are_traced(lab: Lab, receiver: OtlpReceiver) -> None:
    """Each guard has a span for each text, each validation one for each answer, with its verdict, once; none quotes it.

    Each workflow task replays the whole run here, which adds no span.
    """

    def hides(text: str) -> str | None:
        return text.replace(SECRET, "it") if SECRET in text else None

    def passes(text: str) -> None:
        assert SECRET not in text, "the guard before it has replaced the text"

    async def breaks(text: str) -> Block | None:
        if "twelve" in text:
            raise RuntimeError(SECRET)
        return Block(f"{SECRET} again") if "thirteen" in text else None

    def few(pieces: int) -> int:
        if pieces > 12:
            raise ValueError(f"{SECRET}: too many")
        return pieces

    counter = Agent(name="counter", output_type=int, output_validator=few, input_guards=[hides, passes, breaks])
    lab.server.say("13")
    lab.server.say("12")
    async with traced(lab, receiver) as observed, lab.worker(counter, observed=observed):
        handle = await lab.holdfast.start("counter", f"Count {SECRET}.")
        assert (await handle.result(60)).output == 12
        for blocked in ("Count twelve.", "Count thirteen."):
            assert not (await lab.holdfast.run("counter", blocked)).success
    spans = receiver.of(handle.id)
    root = assert_one_tree(spans)
    assert {span.parent for span in spans if span is not root} == {root.id}
    checks = sorted(
        (span for span in spans if "check" in str(span.raw)), key=lambda span: span.raw.start_time_unix_nano
    )
    assert [(span.name, span.attributes["holdfast.check.verdict"]) for span in checks] == [
        ("guard hides", "replaced"),
        ("guard passes", "passed"),
        ("guard breaks", "passed"),
        ("validate_output counter", "invalid"),
        ("validate_output counter", "valid"),
    ]
    told = checks[0].attributes
    assert (told["gen_ai.operation.name"], told["gen_ai.agent.name"]) == ("guard", "counter")
    assert (told["holdfast.check.on"], told["holdfast.attempt"]) == ("input", 1)
    assert not any(span.is_error for span in checks)
    broken, refused = [span for span in receiver.named("guard breaks") if span not in checks]
    assert (broken.is_error, broken.attributes["error.type"]) == (True, "guard_error")
    assert (refused.is_error, refused.attributes["holdfast.check.verdict"]) == (False, "blocked")
    assert not any(SECRET in str(span.raw) for span in receiver.spans)


async def test_child_in_parents_trace(lab: Lab, receiver: OtlpReceiver) -> None:
    """A child run is a part of its parent's trace: its span is below that of the parent, and its calls are below it."""
    Cast(lab, boss=[asks("clerk", "How many ropes?"), Reply("We have 12.")], clerk=Reply("There are 12."))
    async with traced(lab, receiver) as observed, lab.worker(boss, max_cached_workflows=100, observed=observed):
        handle = await lab.holdfast.start("boss", "Do we have ropes?")
        assert (await handle.result(60)).content == "We have 12."
        await receiver.wait_for("invoke_agent clerk", "invoke_agent boss")
    root = assert_one_tree(receiver.spans)
    assert root.name == "invoke_agent boss"
    [child] = receiver.named("invoke_agent clerk")
    assert child.parent == root.id
    assert child.attributes["holdfast.run.parent"] == handle.id
    [asked] = [span for span in receiver.of(f"{handle.id}/1.0") if span is not child]
    assert (asked.name, asked.parent) == ("chat test-model", child.id)


async def test_one_trace_over_continue_as_new(short_histories: Lab, receiver: OtlpReceiver) -> None:
    """A run that continues as new keeps its trace, its one root, and the link to the span that started it."""
    lab, turns = short_histories, 50
    lab.server.respond = walk(turns)
    tracer = TracerProvider().get_tracer("a service")
    async with traced(lab, receiver) as observed, lab.worker(walker, max_cached_workflows=100, observed=observed):
        with tracer.start_as_current_span("a request") as request:
            handle = await lab.holdfast.start("walker", "Walk.")
        assert (await handle.result(60)).content == f"walked {turns - 1} steps"
        description = await lab.client.get_workflow_handle(handle.id).describe()
        assert description.run_id != description.raw_description.workflow_execution_info.first_run_id
    root = assert_one_tree(receiver.spans)
    assert Counter(span.name for span in receiver.spans) == {
        "invoke_agent walker": 1,
        "chat test-model": turns,
        "execute_tool step": turns - 1,
    }
    [link] = root.raw.links
    assert link.trace_id.hex() == trace.format_trace_id(request.get_span_context().trace_id)
    assert link.trace_id.hex() != root.trace


async def test_a_tool_without_a_run_is_below_its_caller(lab: Lab, receiver: OtlpReceiver) -> None:
    """A tool that is called without a run has its span in the trace of the caller, or else a trace of its own."""
    looked.clear()
    looked["rope"] = 1
    tracer = TracerProvider().get_tracer("a service")
    async with traced(lab, receiver) as observed, lab.worker(seeker, observed=observed):
        with tracer.start_as_current_span("a request") as request:
            await lab.holdfast.execute_tool("seeker", "look", {"word": "rope"})
        await lab.holdfast.execute_tool("seeker", "look", {"word": "rope"})
    below, alone = sorted(receiver.spans, key=lambda span: span.raw.start_time_unix_nano)
    assert below.parent == trace.format_span_id(request.get_span_context().span_id)
    assert below.trace == trace.format_trace_id(request.get_span_context().trace_id)
    assert (alone.parent, alone.trace != below.trace) == ("", True)


async def test_a_program_that_serves_its_tools_traces_them(lab: Lab, receiver: OtlpReceiver) -> None:
    """Calls of tools that only a program has are in the trace of the run, which the worker writes."""
    looked.clear()
    looked["rope"] = 1
    lab.server.call_tools(("look", {"word": "rope"}))
    lab.server.say("Found.")
    settings = lab.settings.model_copy(update={"otel_exporter_otlp_endpoint": receiver.url})
    program = CodeWorker(lab.client, settings, Persistence(database=None, store=lab.store, bus=lab.bus), seeker)
    async with traced(lab, receiver) as observed, lab.worker(observed=observed):
        await program.start()
        try:
            await lab.holdfast.run(spec_of(seeker), "Seek a rope.")
        finally:
            await program.stop()
    root = assert_one_tree(receiver.spans)
    [called] = receiver.named("execute_tool look")
    assert (root.name, called.parent) == ("invoke_agent seeker", root.id)


async def test_a_terminated_run_gets_its_root(lab: Lab, receiver: OtlpReceiver) -> None:
    """The root of a run that could not record its end is written once by the worker that finds it."""
    lab.server.call_tools(("look", {"word": "rope"}))
    lab.server.hold()
    looked["rope"] = 1
    async with traced(lab, receiver) as observed, lab.worker(seeker, max_cached_workflows=100, observed=observed):
        lab.server.release()
        lab.server.reply(Reply("This never ends.", hang_after=1))
        handle = await lab.holdfast.start("seeker", "Seek a rope.")
        await lab.server.wait_for_requests(2)
        await receiver.wait_for("execute_tool look")
        await lab.client.get_workflow_handle(handle.id).terminate("enough")
        finder = RunFinder(lab.client, lab.settings.temporal_task_queue, lab.store)
        workers = [
            Reconciler(finder, lab.store, TemporalRunLog(lab.client), lab.bus, interval=1, telemetry=observed.telemetry)
            for _ in range(2)
        ]

        async def is_reconciled() -> bool:
            return any([await worker.round() for worker in workers])

        await eventually(is_reconciled)
        for worker in workers:
            await worker.round()
    [root] = receiver.named("invoke_agent seeker")
    assert (root.attributes["holdfast.run.status"], root.is_error) == ("terminated", True)
    assert {span.trace for span in receiver.spans} == {root.trace}


async def test_a_run_without_traces_has_no_header(lab: Lab) -> None:
    """Without an endpoint nothing is added to a history, also if OpenTelemetry is loaded."""
    lab.server.say("Here.")
    async with observability(lab.settings, lab.client) as observed, lab.worker(clerk, observed=observed):
        assert observed == Observability()
        handle = await lab.holdfast.start("clerk", "Where?")
        await handle.result(60)
    history = await lab.client.get_workflow_handle(handle.id).fetch_history()
    assert "holdfast-trace" not in str(history.events)
    assert "traceparent" not in str(history.events)


async def test_an_endpoint_that_cannot_be_used_is_told(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If the endpoint is not a URL, or the extra is not installed, a worker says so, and starts without traces."""
    wanted = lab.settings.model_copy(update={"otel_exporter_otlp_endpoint": "collector:4317"})
    async with observability(wanted, lab.client) as observed:
        assert observed == Observability()
    assert "the OTLP endpoint is not a URL" in caplog.text
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    wanted = lab.settings.model_copy(update={"otel_exporter_otlp_endpoint": "http://127.0.0.1:4318"})
    async with observability(wanted, lab.client) as observed:
        assert observed == Observability()
    assert "pip install 'holdfast-agents[otel]'" in caplog.text
