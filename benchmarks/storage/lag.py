"""The lag of the mirror: the time from when a run records an entry until the mirror shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from statistics import quantiles

from pydantic import SecretStr
from temporalio.client import Client

from benchmarks.figure import Figure
from benchmarks.rig import Rig
from benchmarks.storage.engines import SURREALKV, TITLES, WS
from benchmarks.storage.server import PASSWORD, USERNAME, Server
from holdfast.client.run_handle import RunHandle
from holdfast.model_reply import ModelReply
from holdfast.protocol import ModelCall
from holdfast.temporal.recorded import CARRIERS, finish_payloads
from holdfast.types import EntryBatch, TranscriptRef

LATENCY = 0.5  # seconds of model latency, so that concurrent runs do not all write at the same time

Ack = tuple[int, float]
"""The seq of an entry, and the time, in seconds since 1970, when it and all earlier ones were known to be visible."""


async def measure(rig: Rig, server: Server | None, *, concurrent_runs: Sequence[int], turns: int) -> list[Figure]:
    """Plays concurrent runs, on a worker with the embedded store, then on one with a server.

    Args:
        rig: plays them.
        server: stores the mirror in the second measurement; `None` skips it.
        concurrent_runs: numbers of concurrent runs.
        turns: of each run.
    """
    embedded = rig.settings
    try:
        figures = await _on(rig, SURREALKV, {}, concurrent_runs, turns)
        if server is not None:
            url = f"ws://{server.address}"
            login = {"surrealdb_username": USERNAME, "surrealdb_password": SecretStr(PASSWORD)}
            figures += await _on(rig, WS, {"surrealdb_url": url, **login}, concurrent_runs, turns)
    finally:
        rig.settings = embedded
    await rig.restart_worker()
    return figures


async def _on(rig: Rig, kind: str, place: dict[str, object], counts: Sequence[int], turns: int) -> list[Figure]:
    rig.settings = rig.settings.model_copy(update={**place, "max_concurrent_agents": max(counts)})
    await rig.restart_worker()
    await rig.play(turns=turns)  # not measured: first imports, first connections
    figures: list[Figure] = []
    for count in counts:
        rig.report(f"mirror lag, {TITLES[kind]}, {count} concurrent runs")
        runs = await asyncio.gather(*(rig.start(turns=turns, latency=LATENCY) for _ in range(count)))
        await asyncio.gather(*map(rig.wait, runs))
        lags = [lag for run in runs for lag in await _lags(rig.client, rig.holdfast.handle(run))]
        figures += _figures(lags, kind, count)
    return figures


async def _lags(client: Client, run: RunHandle) -> list[float]:
    """Returns the milliseconds for each entry, by the clock of the Temporal server."""
    acks = await _acks(client, run)
    lags = []
    async for entry in run.entries():
        moment = next(at for seq, at in acks if seq >= entry.seq)
        lags.append(1000 * (moment - entry.at.timestamp()))
    return lags


async def _acks(client: Client, run: RunHandle) -> list[Ack]:
    """Returns the ends of all writes to the mirror, from the history, so that the store is not queried meanwhile."""
    sent, acks = dict[int, tuple[int, type]](), list[Ack]()
    async for event in client.get_workflow_handle(run.id).fetch_history_events():
        at = event.event_time.ToNanoseconds() / 1e9
        scheduled = event.activity_task_scheduled_event_attributes
        if carrier := CARRIERS.get(scheduled.activity_type.name):
            [carried] = await client.data_converter.decode(scheduled.input.payloads, [carrier])
            if carried.entries:
                sent[event.event_id] = (carried.entries[-1].seq, ModelReply if carrier is ModelCall else TranscriptRef)
        ended = event.activity_task_completed_event_attributes
        if ended.scheduled_event_id in sent:
            seq, result_type = sent[ended.scheduled_event_id]
            [result] = await client.data_converter.decode(ended.result.payloads, [result_type])
            if not isinstance(result, ModelReply) or result.mirrored:
                acks.append((seq, at))
        if finish := finish_payloads(event):
            [batch] = await client.data_converter.decode(finish.payloads, [EntryBatch])
            acks.append((batch.entries[-1].seq, at))
    head = (await run.status()).head
    return acks if acks and acks[-1][0] >= head else [*acks, (head, await _caught_up(client, run))]


async def _caught_up(client: Client, run: RunHandle) -> float:
    """Returns when `MirrorCatchUp` had completed the run's mirror."""
    left = client.get_workflow_handle(f"{run.id}/mirror")
    await left.result()
    closed = (await left.describe()).close_time
    assert closed is not None
    return closed.timestamp()


def _figures(lags: list[float], kind: str, count: int) -> list[Figure]:
    title = f"mirror lag, {TITLES[kind]}, {count} concurrent runs"
    cuts = quantiles(lags, n=20)
    return [
        Figure(name=f"lag.{kind}.{count}.p50", title=f"{title}, p50", value=cuts[9], unit="ms"),
        Figure(name=f"lag.{kind}.{count}.p95", title=f"{title}, p95", value=cuts[18], unit="ms"),
    ]
