"""The worker process: `holdfast worker`, or `python worker.py` in a checkout. SIGTERM shuts it down in order."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import traceback

from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryFilter

from holdfast._util.logs import configure_logging
from holdfast._util.streams import StandardStreams, open_closed
from holdfast._util.terminal import clean
from holdfast.composition.loading import load_agents
from holdfast.composition.worker_process import check, serve
from holdfast.errors import BrokenAgentModule, HoldfastError, UsageError
from holdfast.settings import Settings
from holdfast.telemetry.endpoint import open_runtime


def _set_runtime(settings: Settings) -> None:
    """Sets the SDK's native part up: its logs go to Python's logging, by default to standard output; and metrics.

    Raises:
        SettingsError: metrics cannot be served.
    """
    forwarding = LogForwardingConfig(logging.getLogger("temporalio.core"), prepend_target_on_message=False)
    kept = LoggingConfig(TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding)
    Runtime.set_default(open_runtime(kept, host=settings.metrics_host, port=settings.metrics_port))


def main() -> int:
    """Runs a worker; returns 2 for bad settings, 3 if a service is unavailable; exits with 0 after a shutdown.

    With `--check` it only checks the settings and loads the agents, and writes what is wrong to standard output. With
    `--replaces PID`, the ports of the worker with that pid count as free.
    """
    if "--check" in sys.argv[1:]:
        return _check()
    try:
        settings = Settings.load()
        private = settings.holdfast_encryption_key is not None
        open_closed()
        streams = StandardStreams.protect()
        streams.relay()
        log = streams.writer(2)
        configure_logging(settings.log_level, settings.log_format, private=private, stream=log)
        _set_runtime(settings)
        asyncio.Runner().run(serve(settings, load_agents(settings)))
    except UsageError as error:
        _print_cause(error)
        print(clean(str(error)), file=sys.stderr)
        return 2
    except HoldfastError as error:
        print(clean(str(error)), file=sys.stderr)
        return 3
    # A normal exit of the interpreter would wait for threads of tools that hang, and the SDK's native part sometimes
    # aborts in it.
    logging.shutdown()
    os._exit(0)


def _check() -> int:
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)  # what modules print when they are imported belongs to the log
        try:
            check(Settings.load(), _replaced())
        except UsageError as error:
            _print_cause(error)
            answer.write(f"{error}\n")
            return 2
    return 0


def _replaced() -> int | None:
    return int(sys.argv[sys.argv.index("--replaces") + 1]) if "--replaces" in sys.argv else None


def _print_cause(error: UsageError) -> None:
    """Prints the traceback of an error that code of the user has raised."""
    if isinstance(error, BrokenAgentModule) and error.__cause__ is not None:
        traceback.print_exception(error.__cause__)


if __name__ == "__main__":
    sys.exit(main())
