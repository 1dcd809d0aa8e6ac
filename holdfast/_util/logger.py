"""Loggers of the library, on the standard library's logging."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

FIELDS = "holdfast"
"""Attribute of a record: a mapping of the event and its fields, for handlers that keep them apart."""

_OF_LOGGING = ("exc_info", "stack_info", "stacklevel", "extra")


class FieldLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs an event and its fields: `log.warning("the store is unavailable", run_id=run_id)`."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Writes the fields behind the event."""
        fields = {**(self.extra or {}), **{name: value for name, value in kwargs.items() if name not in _OF_LOGGING}}
        options = {name: value for name, value in kwargs.items() if name in _OF_LOGGING}
        options["extra"] = {**(options.get("extra") or {}), FIELDS: {"event": msg, **fields}}
        shown = ", ".join(f"{name}={value!r}" for name, value in fields.items())
        return f"{msg} ({shown})" if shown else msg, options

    def bind(self, **fields: Any) -> FieldLogger:
        """Returns a logger that adds these fields to each line."""
        return FieldLogger(self.logger, {**(self.extra or {}), **fields})


def get_logger(name: str) -> FieldLogger:
    """Returns a logger that writes through `logging.getLogger(name)`, to whatever the program has configured.

    The library configures no handler. Without one, Python writes warnings and errors to standard error.
    """
    return FieldLogger(logging.getLogger(name))
