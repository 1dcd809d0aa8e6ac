"""Settings of traces and metrics."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class ObservabilitySettings(BaseSettings):
    """The part of the settings that says what of a worker can be observed, and where."""

    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """Port on which the worker serves metrics to Prometheus; `None` means that there are none."""
    metrics_host: Annotated[str, Field(pattern=r"^[^\s/]{1,255}$")] = "127.0.0.1"
    """Address that the port is bound to; `0.0.0.0` in a container."""
    otel_exporter_otlp_endpoint: str | None = None
    """OpenTelemetry collector that receives the traces of runs; `None` means that runs are not traced."""
    otel_exporter_otlp_traces_endpoint: str | None = None
    """The whole URL for traces, instead of `/v1/traces` below the endpoint."""
    otel_exporter_otlp_headers: SecretStr | None = None
    """Headers of the requests to it, `name=value`, comma-separated."""
    otel_service_name: str | None = None
    """Name of the worker in traces; `None` means `holdfast-worker`."""
    otel_traces_exporter: str = "otlp"
    """`none` turns traces off; any other value means OTLP."""
    otel_sdk_disabled: bool = False
    """Turns traces off."""
    trace_content: bool = False
    """Whether traces have prompts, answers, and the arguments and results of tools."""

    @property
    def traces_endpoint(self) -> str | None:
        """Where traces are sent; `None` means nowhere."""
        if self.otel_sdk_disabled or self.otel_traces_exporter.strip().lower() == "none":
            return None
        return self.otel_exporter_otlp_traces_endpoint or self.otel_exporter_otlp_endpoint
