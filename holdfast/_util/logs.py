"""Logging with structlog, on the console or as JSON, for Holdfast and its libraries."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator
from io import StringIO
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger
from temporalio import activity

from holdfast._util.logger import FIELDS
from holdfast._util.terminal import clean

PLAIN = structlog.dev.plain_traceback  # one with local variables blocks the loop for 0.3 s and shows conversations
QUOTING = ("reason", "error")  # fields with messages of errors, which may quote conversations
MANY_LINES = ("event", "stack", "exception")  # all other fields stay on one line
HIDDEN = "(hidden, as payloads are encrypted)"
NOISY = ("httpx2", "httpcore2", "openai", "websockets", "aiohttp")


def configure_logging(
    level: str, form: Literal["console", "json"], *, private: bool = False, stream: TextIO | None = None
) -> None:
    """Sends all logs to one stream in one form, with the run id on each line that concerns a run.

    Args:
        level: DEBUG, INFO, WARNING or ERROR.
        form: text for people, or one JSON object a line.
        private: omit everything that may quote a conversation.
        stream: where they go; `None` means standard error.
    """
    stream = stream or sys.stderr
    shared: list[Processor] = [
        _unpack_fields,
        *([_without_content] if private else []),
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(allow={"temporal_workflow", "temporal_activity"}),
        _add_run,
        _add_trace,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if form == "json"
        else [_clean_fields, structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=_traceback)]
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            use_get_message=not private,  # of libraries, only the constant part of a message
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _clean_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Removes what would control a terminal; a field stays on the line of its event."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = clean(value) if name in MANY_LINES else clean(value).replace("\n", "\\n")
    return event


def _traceback(stream: TextIO, error: ExcInfo) -> None:
    lines = StringIO()
    PLAIN(lines, error)
    stream.write(clean(lines.getvalue()))


def _unpack_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Puts the fields of a library's record beside its event."""
    event.update(getattr(event.get("_record"), FIELDS, {}))
    return event


def _without_content(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Reduces errors, which may quote tools and models, to their class and place."""
    event.update((name, HIDDEN) for name in QUOTING if name in event)
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["raised"] = " from ".join(_kind_and_place(error))
    return event


def _kind_and_place(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        frames = traceback.extract_tb(error.__traceback__)
        yield type(error).__name__ + (f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else "")
        error = error.__cause__ or error.__context__


def _add_run(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Adds the run id to a line from workflow or activity code, in place of Temporal's whole context."""
    workflow = event.pop("temporal_workflow", None) or {}
    from_activity = event.pop("temporal_activity", None) or {}
    run_id = workflow.get("workflow_id") or from_activity.get("workflow_id")
    if run_id is None and activity.in_activity():
        run_id = activity.info().workflow_id
    if run_id is not None:
        event.setdefault("run_id", run_id)
    return event


def _add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Adds the ids of the current span, if there is one; OpenTelemetry is not loaded for this."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is not None and (span := trace.get_current_span().get_span_context()).is_valid:
        event.setdefault("trace_id", f"{span.trace_id:032x}")
        event.setdefault("span_id", f"{span.span_id:016x}")
    return event
