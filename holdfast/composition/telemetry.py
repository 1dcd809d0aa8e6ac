"""Traces and metrics of a worker, from the settings."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from threading import Thread
from urllib.parse import urlsplit

from temporalio.client import Client
from temporalio.common import MetricMeter
from temporalio.runtime import Runtime
from temporalio.worker import Interceptor

from holdfast._util.background import BackgroundTask
from holdfast._util.logger import get_logger
from holdfast.ports.telemetry import Telemetries, Telemetry
from holdfast.settings import Settings, revealed
from holdfast.telemetry.providers import Providers

log = get_logger(__name__)

EXTRA = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
CLOSE_TIMEOUT = 2.0  # seconds that a shutdown waits until the last spans are sent


@dataclass(frozen=True)
class Observability:
    """What a worker needs to be observed; empty if nothing is configured."""

    telemetry: Telemetry | None = None
    interceptors: Sequence[Interceptor] = ()
    background: Sequence[BackgroundTask] = ()


@asynccontextmanager
async def observability(settings: Settings, client: Client) -> AsyncIterator[Observability]:
    """Opens traces and metrics if they are configured; at the end, sends the spans that are left.

    Args:
        settings: what is configured.
        client: of the worker.
    """
    async with traces(settings, client) as traced:
        if settings.metrics_port is None:
            yield traced
            return
        meter = Runtime.default().metric_meter
        metrics, background = _metrics(settings, client, meter)
        telemetry = Telemetries([traced.telemetry, metrics]) if traced.telemetry else metrics
        yield Observability(telemetry, traced.interceptors, background)


@asynccontextmanager
async def traces(settings: Settings, client: Client) -> AsyncIterator[Observability]:
    """Opens traces alone, as for a program that only serves the code of agents.

    Args:
        settings: what is configured.
        client: of the worker.
    """
    if not _can_trace(settings):
        yield Observability()
        return
    async with _tracing(settings, client) as (tracing, interceptor):
        yield Observability(tracing, [interceptor])


def _metrics(settings: Settings, client: Client, meter: MetricMeter) -> tuple[Telemetry, list[BackgroundTask]]:
    from holdfast.telemetry.metrics import Metrics  # noqa: PLC0415 - loaded only if metrics are on
    from holdfast.telemetry.open_runs import OpenRuns  # noqa: PLC0415

    return Metrics(meter, settings.default_model), [OpenRuns(client, settings.temporal_task_queue, meter)]


def _can_trace(settings: Settings) -> bool:
    """Whether spans are sent; says so if they cannot be."""
    if settings.traces_endpoint is None:
        return False
    if not settings.traces_endpoint.startswith(("http://", "https://")):
        log.warning("the OTLP endpoint is not a URL, so runs are not traced", endpoint=settings.traces_endpoint)
        return False
    if not all(map(_is_installed, EXTRA)):
        log.warning(
            "an OTLP endpoint is set, but OpenTelemetry is not installed, so runs are not traced: "
            "pip install 'holdfast-agents[otel]'",
            endpoint=settings.traces_endpoint,
        )
        return False
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if os.environ.get(name, "http/protobuf") != "http/protobuf":
            log.warning("spans are sent by http/protobuf; another protocol is not supported", variable=name)
    return True


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@asynccontextmanager
async def _tracing(settings: Settings, client: Client) -> AsyncIterator[tuple[Telemetry, Interceptor]]:
    # Loaded only if traces are on, and installed.
    from holdfast.telemetry.interceptors import TraceInterceptor  # noqa: PLC0415
    from holdfast.telemetry.otlp import open_provider  # noqa: PLC0415
    from holdfast.telemetry.started_runs import StartedRuns  # noqa: PLC0415
    from holdfast.telemetry.tracing import Tracing  # noqa: PLC0415

    _pass_on(settings)
    provider, ids = open_provider()
    tracing = Tracing(
        provider,
        ids,
        providers=_providers(settings),
        find_trace=StartedRuns(client).trace_of,
        with_content=settings.trace_content,
    )
    log.info("runs are traced", endpoint=settings.traces_endpoint, content=settings.trace_content)
    try:
        yield tracing, TraceInterceptor(tracing.enter)
    finally:
        # Not a thread of the executor, which the program would wait for at its end.
        last = Thread(target=provider.force_flush, name="last-spans", daemon=True)
        last.start()
        await asyncio.to_thread(last.join, CLOSE_TIMEOUT)


def _pass_on(settings: Settings) -> None:
    """Passes on what `.env` says to OpenTelemetry's SDK, which reads the environment alone."""
    for name, value in {
        "OTEL_EXPORTER_OTLP_ENDPOINT": settings.otel_exporter_otlp_endpoint,
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": settings.otel_exporter_otlp_traces_endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": revealed(settings.otel_exporter_otlp_headers),
        "OTEL_SERVICE_NAME": settings.otel_service_name,
    }.items():
        if value is not None:
            os.environ.setdefault(name, value)


def _providers(settings: Settings) -> Providers:
    others = {name: urlsplit(url).netloc.rpartition("@")[2] for name, (url, _) in settings.providers.items()}
    return Providers(settings.model_provider, settings.default_model, others)
