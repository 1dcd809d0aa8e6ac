"""The Prometheus endpoint of a process, which Temporal's SDK serves from its native part."""

from __future__ import annotations

from temporalio.runtime import LoggingConfig, PrometheusConfig, Runtime, TelemetryConfig

from holdfast.errors import SettingsError
from holdfast.telemetry.metric_names import BUCKETS


def open_runtime(logging: LoggingConfig | None, *, host: str, port: int | None) -> Runtime:
    """Creates the native part of the SDK, with an endpoint for metrics if there is a port.

    Args:
        logging: what it logs.
        host: the address that the endpoint is bound to.
        port: the endpoint's port; `None` means that there are no metrics.

    Raises:
        SettingsError: the endpoint cannot be bound, as when the port is taken.
    """
    if port is None:
        return Runtime(telemetry=TelemetryConfig(logging=logging))
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    metrics = PrometheusConfig(
        bind_address=address, durations_as_seconds=True, unit_suffix=True, histogram_bucket_overrides=BUCKETS
    )
    try:
        return Runtime(telemetry=TelemetryConfig(logging=logging, metrics=metrics, attach_service_name=False))
    except (ValueError, RuntimeError) as error:
        raise SettingsError(
            f"METRICS_PORT='{port}': metrics cannot be served at {address}: {error}; each worker of a machine needs a "
            "port of its own, and METRICS_HOST names an address of this machine"
        ) from None
