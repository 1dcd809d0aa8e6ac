"""`sql`: runs a query."""

from __future__ import annotations

import json as json_text
import re
import sys
import time
from typing import Annotated, Any

import typer

from holdfast.cli.options import JsonOption
from holdfast.cli.render.output import Output
from holdfast.cli.render.rows import show_result
from holdfast.cli.render.text import count, duration
from holdfast.cli.render.values import plain
from holdfast.cli.storage import check_made, opened_persistence
from holdfast.errors import UsageError
from holdfast.settings import Settings
from holdfast.storage.database import Database, StatementFailed

STDIN = "-"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TAKEN = ("self", "statement")  # parameters of the method that receives the values

EXAMPLES = """
    $ sql 'SELECT id, status, turn FROM run LIMIT 5'
    $ sql 'SELECT * FROM run WHERE agent = $a' --param a=clerk
    $ sql 'SELECT VALUE text FROM event' --json > log.json
    $ sql < report.surql
"""

StatementArgument = Annotated[
    str,
    typer.Argument(
        metavar="STATEMENT", help="SurrealQL. Default: read from standard input, as for `-`.", show_default=False
    ),
]
ParamOption = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        metavar="NAME=VALUE",
        help="The value of $NAME: JSON or else text; repeatable.",
        show_default=False,
    ),
]
WideOption = Annotated[bool, typer.Option("--wide", help="Show complete values, however long the lines.")]


async def sql(
    statement: StatementArgument = STDIN, param: ParamOption = None, wide: WideOption = False, json: JsonOption = False
) -> None:
    """Runs a read-only SurrealQL query.

    The tables are `run`, `message`, `tool_call`, `event` and more; `INFO FOR DB`
    lists them, `INFO FOR TABLE run` lists the fields of one. The database enforces
    that nothing is written. The command works with and without a worker.

    --json writes one document: a list with the result of each statement, with
    complete values, record ids and times as text.
    """
    out = Output(json=json)
    settings = Settings.load()
    text = _statement(out, statement)
    values = dict(map(_value, param or []))
    _check_exists(settings)
    async with opened_persistence(settings) as persistence:
        results, seconds = await _run(persistence.database, text, values)
    if json:
        out.document(plain(results))
        rows = sum(len(result) if isinstance(result, list) else 1 for result in results)
    else:
        rows = _show(out, results, text, wide=wide)
    out.note(f"{count(rows, 'row')} in {duration(seconds)}")


async def _run(database: Database | None, text: str, values: dict[str, Any]) -> tuple[list[Any], float]:
    if database is None:
        raise UsageError(
            "STATE_PERSISTENCE_BACKEND=memory keeps everything in the worker: there is no database to query"
        )
    begin = time.monotonic()
    try:
        results = await database.read(text, **values)
    except StatementFailed as error:
        raise UsageError(str(error).strip()) from error
    return results, time.monotonic() - begin


def _show(out: Output, results: list[Any], text: str, *, wide: bool) -> int:
    rows = 0
    for number, result in enumerate(results):
        if number:
            out.say()
        if result in ([], None):
            out.note("no rows" if result == [] else "NONE")
        else:
            rows += show_result(out, result, text, wide=wide)
    return rows


def _statement(out: Output, argument: str) -> str:
    if argument != STDIN:
        return argument
    if sys.stdin.isatty():
        out.note("type a statement and end it with Ctrl-D")
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input is not UTF-8 text: {error}") from error
    if not text.strip():
        raise UsageError("no statement: give one as an argument or on standard input")
    return text


def _value(param: str) -> tuple[str, Any]:
    name, separator, text = param.partition("=")
    if not separator or not NAME.fullmatch(name) or name in TAKEN:
        raise UsageError(
            f"--param {param!r} is not accepted: write NAME=VALUE; NAME has letters, digits and _, "
            f"and is neither {TAKEN[0]} nor {TAKEN[1]}"
        )
    try:
        return name, json_text.loads(text)
    except ValueError:
        return name, text


def _check_exists(settings: Settings) -> None:
    if settings.store_url.startswith("mem://"):
        raise UsageError("SURREALDB_URL=mem:// gives each process a database of its own: there is nothing to query")
    check_made(settings)
