"""Loggers of the library: structlog's interface in front of the standard library's logging."""

from __future__ import annotations

import logging

import structlog


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Returns a logger that writes through `logging.getLogger(name)`.

    structlog's own default prints to standard output, which belongs to the program that imports the library.
    """
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name), wrapper_class=structlog.stdlib.BoundLogger
    )
    return logger
