"""Parsing of a command's arguments, with refusals in our own words."""

from __future__ import annotations

import re
from typing import Any

import typer
from pydantic import ValidationError
from typer.core import TyperCommand

from holdfast.cli.options import BadValue
from holdfast.rejection import reason_of

_CHOICE = re.compile(r"'(?P<given>.*)' is not one of (?P<choices>.*)\.", re.DOTALL)


class ParsedCommand(TyperCommand):
    """A command that says what an option must be, where Typer quotes Pydantic."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the arguments.

        Raises:
            BadValue: a value is not accepted.
        """
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if isinstance(error.__cause__, ValidationError) and error.param is not None:
                raise BadValue(_refusal(error.param, error.__cause__), ctx=ctx, param=error.param) from None
            raise


def _refusal(param: Any, error: ValidationError) -> str:
    name = param.opts[0] if param.param_type_name == "option" else param.make_metavar(None)
    detail = error.errors()[0]
    reason = reason_of(detail)
    if choice := _CHOICE.fullmatch(reason):
        return f"{name} must be one of {choice['choices'].replace(chr(39), '')}, not {choice['given']!r}"
    return f"{name} {reason}, not {detail['input']!r}"
