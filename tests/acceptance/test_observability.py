"""Traces, metrics and logs of real worker processes."""

from __future__ import annotations

import json
import re
from collections import Counter
from urllib.request import urlopen

import pytest

from holdfast.telemetry import metric_names
from holdfast.testing import Reply
from tests.support.cli import ROOT
from tests.support.crash_agents import open_gate
from tests.support.lab import eventually
from tests.support.otlp import assert_one_tree, otlp_receiver
from tests.support.processes import Site
from tests.support.surreal_server import free_port

DASHBOARD = ROOT / "deploy" / "grafana-dashboard.json"
METRIC = re.compile(r"\b((?:holdfast|temporal)_[a-z0-9_]+)")


def scrape(port: int) -> dict[str, float]:
    """Returns the samples of an endpoint, each by its name and labels."""
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    samples = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


async def test_kill9_one_root_no_orphans(site: Site) -> None:
    """After kill -9 a run is still one trace with one root; its spans and log lines name the same trace."""
    with otlp_receiver() as receiver:
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "20", "LOG_FORMAT": "json"}
        site.server.call_tools(("note", {"number": 1}))
        site.server.call_tools(("read_slowly", {}), ("note", {"number": 2}))
        site.server.reply(Reply.error(503, headers={"Retry-After": "0"}))
        site.server.say("It is read.")
        worker = await site.worker(**traced)
        run = await site.start("Read.")

        async def reads() -> bool:
            notes = receiver.named("execute_tool note")
            return len(notes) == 2 and await site.pending(run) == {"tool.read_slowly": "STARTED"}

        await eventually(reads)
        worker.kill()
        open_gate(site.workspace)
        worker = await site.worker(**traced)
        assert (await run.result(60)).content == "It is read."
        await receiver.wait_for("invoke_agent clerk")
        assert await worker.stop() == 0
    root = assert_one_tree(receiver.spans)
    assert root.name == "invoke_agent clerk"
    counts = Counter(span.name for span in receiver.spans)
    assert counts == {
        "invoke_agent clerk": 1,
        "chat test-model": 4,
        "execute_tool note": 2,
        "execute_tool read_slowly": 1,
    }
    lines = [json.loads(line) for line in worker.output.splitlines() if "model call failed" in line]
    failed = [span.id for span in receiver.spans if span.is_error]
    assert [(line["run_id"], line["trace_id"], line["span_id"]) for line in lines] == [(run.id, root.trace, *failed)]


async def test_metrics_of_a_worker(site: Site) -> None:
    """The endpoint counts what the worker did, without ids of runs; the dashboard shows metrics that exist."""
    port = free_port()
    site.server.call_tools(("note", {"number": 1}), ("pay", "not JSON"))
    site.server.say("It is noted.")
    await site.worker(METRICS_PORT=str(port), MODEL_PRICES='{"test-model": {"input": 1000, "output": 1000}}')
    run = await site.start("Note 1.")
    result = await run.result(60)
    assert result.success

    async def counted() -> bool:
        return 'holdfast_open_runs{status="running"}' in scrape(port)

    await eventually(counted)
    found = scrape(port)
    assert found['holdfast_turns_total{agent="clerk"}'] == 2
    assert found['holdfast_model_calls_total{model="test-model"}'] == 2
    assert found['holdfast_tool_calls_total{tool="pay"}'] == found['holdfast_tool_errors_total{tool="pay"}'] == 1
    assert found['holdfast_tool_calls_total{tool="note"}'] == 1
    assert 'holdfast_tool_errors_total{tool="note"}' not in found
    tokens = {kind: found[f'holdfast_tokens_total{{kind="{kind}",model="test-model"}}'] for kind in ("input", "output")}
    assert tokens == {"input": result.usage.input_tokens, "output": result.usage.output_tokens}
    assert found['holdfast_model_call_cost_usd_sum{model="test-model"}'] == pytest.approx(result.usage.cost_usd)
    assert found['holdfast_runs_ended_total{agent="clerk",status="completed"}'] == 1
    assert not any(run.id in sample for sample in found)
    assert_dashboard_shows({sample.partition("{")[0] for sample in found})
    other = site.run_worker(METRICS_PORT=str(port))
    assert await other.exit_code() == 2
    [line] = other.output.splitlines()
    assert line.startswith(f"METRICS_PORT='{port}': metrics cannot be served")


def assert_dashboard_shows(served: set[str]) -> None:
    """Checks that every metric of the dashboard is served, and that it shows every one of ours."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    shown = {name for panel in panels for target in panel["targets"] for name in METRIC.findall(target["expr"])}
    never_here = {metric_names.MODEL_ERRORS, metric_names.MIRROR_ERRORS}  # nothing has failed here
    assert shown - never_here <= served
    ours = {name for name in vars(metric_names).values() if isinstance(name, str) and name.startswith("holdfast_")}
    assert {name for name in ours if not any(found.startswith(name) for found in shown)} == set()
