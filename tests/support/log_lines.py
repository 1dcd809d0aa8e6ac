"""The lines that the library logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from holdfast._util.logger import FIELDS


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = {"exc_info": record.exc_info[1]} if record.exc_info else {}
        self.lines.append({"event": record.getMessage(), **getattr(record, FIELDS, {}), **error})


@contextmanager
def log_lines() -> Iterator[list[dict[str, Any]]]:
    """Collects the lines of the library's loggers from INFO on: each line's event and fields."""
    logger, handler = logging.getLogger("holdfast"), _Lines()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
