"""The Prometheus endpoint of a process, which Temporal's SDK serves from its native part."""

from __future__ import annotations

import socket

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
    metrics = PrometheusConfig(
        bind_address=_address(host, port),
        durations_as_seconds=True,
        unit_suffix=True,
        histogram_bucket_overrides=BUCKETS,
    )
    try:
        return Runtime(telemetry=TelemetryConfig(logging=logging, metrics=metrics, attach_service_name=False))
    except (ValueError, RuntimeError) as error:
        raise _unusable(host, port, error) from None


def check_endpoint(host: str, port: int) -> None:
    """Checks that the endpoint could be bound now, without serving anything.

    Args:
        host: see `open_runtime`.
        port: see `open_runtime`.

    Raises:
        SettingsError: it could not, as when the port is taken.
    """
    try:
        [(family, kind, _, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free, as for the SDK
            probe.bind(address)
            probe.listen()
    except OSError as error:
        raise _unusable(host, port, error) from None


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _unusable(host: str, port: int, error: Exception) -> SettingsError:
    return SettingsError(
        f"METRICS_PORT='{port}': metrics cannot be served at {_address(host, port)}: {error}; each worker of a machine "
        "needs a port of its own, and METRICS_HOST names an address of this machine"
    )
