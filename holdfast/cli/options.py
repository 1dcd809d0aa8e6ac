"""Arguments and options that several commands share."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Annotated, Any

import typer

from holdfast.errors import UsageError

MAX_ID = 1000  # characters that Temporal accepts


class BadValue(typer.BadParameter):
    """A refusal whose message names the option itself."""

    def format_message(self) -> str:
        """Returns the message as it is."""
        return self.message


def at_least(minimum: int) -> Callable[[typer.Context, typer.CallbackParam, int | None], int | None]:
    """Returns a callback that refuses numbers below `minimum`."""

    def check(context: typer.Context, option: typer.CallbackParam, value: int | None) -> int | None:
        if value is not None and value < minimum and not context.resilient_parsing:
            raise BadValue(f"{option.opts[0]} must be at least {minimum}")
        return value

    return check


def between(minimum: int, maximum: int) -> Callable[[typer.Context, typer.CallbackParam, int | None], int | None]:
    """Returns a callback that refuses numbers outside these limits, which are accepted themselves."""

    def check(context: typer.Context, option: typer.CallbackParam, value: int | None) -> int | None:
        if value is not None and not minimum <= value <= maximum and not context.resilient_parsing:
            raise BadValue(f"{option.opts[0]} must be between {minimum} and {maximum}")
        return value

    return check


def seconds(context: typer.Context, option: typer.CallbackParam, value: float | None) -> float | None:
    """A callback that refuses what is not a positive number of seconds."""
    if value is not None and not (math.isfinite(value) and value > 0) and not context.resilient_parsing:
        raise BadValue(f"{option.opts[0]} must be a positive number of seconds")
    return value


def _id(text: str | None) -> str | None:
    if text is None:
        return None
    if not text.strip() or len(text) > MAX_ID:
        raise typer.BadParameter(f"a run id has 1 to {MAX_ID} characters; see `list`")
    return text


def run_id(text: str | None) -> str | None:
    """A callback that refuses what cannot be the id of a run."""
    return None if text is None else _id(text)


RunIdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The run's id, as `list` shows it.", callback=_id, show_default=False)
]
OptionalRunIdArgument = Annotated[
    str | None,
    typer.Argument(metavar="ID", help="The run's id, as `list` shows it.", callback=_id, show_default=False),
]
AgentNameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="The agent's name, as `agents` shows it.", show_default=False)
]
WhereOption = Annotated[
    str | None,
    typer.Option(metavar="QUERY", help="All runs that match, as 'AgentStatus = \"failed\"'.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write one JSON document to stdout, the rest to stderr.")]
RequireApprovalOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TOOL", help="Ask a person before each call of a tool; `all` means every tool with effects. Repeatable."
    ),
]
ApprovalTimeoutOption = Annotated[
    float | None,
    typer.Option(metavar="S", callback=seconds, help="Seconds that an approval waits for a person; then: denied."),
]
ContextOption = Annotated[
    str | None,
    typer.Option(
        "--context", metavar="JSON", help="Facts for the tools as a JSON object; the model does not see them."
    ),
]
ReloadOption = Annotated[
    bool, typer.Option("--reload", help="Restart the worker gracefully whenever its source files change.")
]


def context_of(text: str | None) -> dict[str, Any] | None:
    """Parses the value of `--context`.

    Raises:
        UsageError: it is not a JSON object.
    """
    if text is None:
        return None
    try:
        facts = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--context is not JSON: {error}; it is an object, such as '{{\"customer\": 7}}'") from None
    if not isinstance(facts, dict):
        raise UsageError(f"--context must be a JSON object, such as '{{\"customer\": 7}}', not {text!r:.80}")
    return facts


SettingOption = Annotated[
    list[str] | None,
    typer.Option(
        "--setting", metavar="NAME=VALUE", help="A field of the requests to the model, over the agent's; repeatable."
    ),
]


def settings_of(options: list[str] | None) -> dict[str, Any] | None:
    """Returns the model settings of a command: JSON values, or text; `None` if there are none.

    Raises:
        UsageError: one is not NAME=VALUE, or a name is given twice.
    """
    found: dict[str, Any] = {}
    for option in options or ():
        name, sign, text = option.partition("=")
        if not name or not sign:
            raise UsageError(f"--setting {option!r} is not NAME=VALUE, such as temperature=0.2")
        if name in found:
            raise UsageError(f"--setting {name} is given twice")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found or None


def models_of(text: str | None) -> list[str] | None:
    """Splits the models of `--model`, in order of preference."""
    return None if text is None else [name.strip() for name in text.split(",")]
