"""Sending of spans by OTLP, as OpenTelemetry's environment variables say."""

from __future__ import annotations

import os
from functools import cache

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from holdfast._version import __version__
from holdfast.telemetry.span_ids import RunSpanIds

SERVICE = "holdfast-worker"
SEND_AFTER = "1000"
"""Milliseconds until a span is sent. The SDK's default of 5000 loses more spans if the worker is killed."""


def open_provider() -> tuple[TracerProvider, RunSpanIds]:
    """Returns what sends spans, and their ids; endpoint, headers, sampler and the like come from the environment.

    A process has one of them, as a library that a tool uses may hold on to it.
    """
    os.environ.setdefault("OTEL_BSP_SCHEDULE_DELAY", SEND_AFTER)
    return _provider(tuple(sorted((name, os.environ[name]) for name in os.environ if name.startswith("OTEL_"))))


@cache
def _provider(_environment: tuple[tuple[str, str], ...]) -> tuple[TracerProvider, RunSpanIds]:
    """Creates a provider for an environment.

    Spans that libraries of tools make, if they are instrumented, go the same way, unless the program has a provider.
    """
    ids = RunSpanIds()
    provider = TracerProvider(resource=_resource(), id_generator=ids, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(provider)
    return provider, ids


def _resource() -> Resource:
    given = Resource.create({SERVICE_VERSION: __version__})
    is_named = not str(given.attributes.get(SERVICE_NAME, "")).startswith("unknown_service")
    return given if is_named else given.merge(Resource({SERVICE_NAME: SERVICE}))
