"""`agents history`: the versions of a registered agent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from holdfast.cli.found_agent import FoundAgent
from holdfast.cli.options import AgentNameArgument, JsonOption
from holdfast.cli.registry import history_of, opened_registry
from holdfast.cli.render.output import Output
from holdfast.cli.render.table import Column, show_table
from holdfast.cli.render.text import local_time, one_line
from holdfast.definition import AgentDefinition
from holdfast.settings import Settings

if TYPE_CHECKING:
    from holdfast.storage.registry import AgentVersion

EXAMPLES = """
    $ agents history guide
    $ agents history guide --json
"""


async def history(name: AgentNameArgument, json: JsonOption = False) -> None:
    """Lists an agent's versions, and what each changed.

    `run NAME@N` runs version N; `agents show NAME --version N` shows it.
    """
    out = Output(json=json)
    async with opened_registry(Settings.load()) as registry:
        versions = await history_of(registry, name)
    if json:
        out.document([FoundAgent.of(version).document() for version in versions])
        return
    columns = [
        Column("VERSION", [str(version.version) for version in versions], "bold", is_number=True, is_whole=True),
        Column("REGISTERED", [local_time(version.registered_at) for version in versions], is_whole=True),
        Column("FROM", [one_line(PurePath(version.origin or "").name) for version in versions]),
        Column("CHANGED", [", ".join(fields) for fields in _changes(versions)]),
    ]
    show_table(out, columns)


def _changes(versions: Sequence[AgentVersion]) -> Iterator[list[str]]:
    """The fields that each version changed; the first one is compared with an empty definition."""
    before = AgentDefinition(name=versions[0].definition.name).content()
    for version in versions:
        content = version.definition.content()
        yield [field for field, value in content.items() if value != before[field]]
        before = content
