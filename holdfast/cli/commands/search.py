"""`search`: finds texts in memory."""

from __future__ import annotations

import json as json_
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.memory import (
    AgentOption,
    MetaOption,
    NamespaceOption,
    embedder_note,
    metadata_of,
    namespace_of,
)
from holdfast.cli.options import JsonOption, between
from holdfast.cli.program import command
from holdfast.cli.render.output import Output
from holdfast.cli.render.text import count, cut, head, one_line
from holdfast.cli.storage import opened_persistence
from holdfast.ports.retrieval import SHARED_NAMESPACE, MemoryMatch
from holdfast.settings import Settings

if TYPE_CHECKING:
    from holdfast.storage.memory import TextMemory

SHOWN_LINES = 4  # of each memory
FINDERS = {"text": "its words", "vector": "its meaning"}

EXAMPLES = """
    $ search "late payments"
    $ search "late payments" --agent researcher --top-k 3
    $ search invoices --meta source=handbook --json
"""


async def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="Words or a sentence.", show_default=False)],
    *,
    top_k: Annotated[
        int, typer.Option("--top-k", metavar="N", callback=between(1, 100), help="Show at most this many.")
    ] = 5,
    agent: AgentOption = None,
    namespace: NamespaceOption = None,
    meta: MetaOption = None,
    json: JsonOption = False,
) -> None:
    """Finds remembered texts, best matches first.

    It searches by words, and by meaning if there is an embedding model. With --agent
    it searches what that agent searches: its own memory and the shared one.
    """
    out = Output(json=json)
    namespaces = [namespace_of(agent, namespace)] + ([SHARED_NAMESPACE] if agent else [])
    async with opened_persistence(Settings.load()) as persistence:
        memories = persistence.memories
        found = await memories.search(query, top_k, namespaces=namespaces, filter=metadata_of(meta))
        known = await _total(memories, namespaces) if not found else 0
        embedder = memories.embedder
    if json:
        results = [match.model_dump(mode="json") for match in found]
        out.document({"query": query, "namespaces": namespaces, "embedder": embedder, "results": results})
        return
    for number, match in enumerate(found, start=1):
        _show(out, number, match)
    if not found:
        out.note(_nothing(known, namespaces))
    _note_search(out, embedder)


async def _total(memories: TextMemory, namespaces: list[str]) -> int:
    return sum([await memories.count(namespace) for namespace in namespaces])


def _show(out: Output, number: int, match: MemoryMatch) -> None:
    lines, more = head(match.text, SHOWN_LINES)
    label = f"{number}. "
    room = out.width - len(label)
    out.say((label, "bold"), cut(lines[0] if lines else "", room))
    out.lines([f"{'':{len(label)}}{cut(line, room)}" for line in lines[1:]])
    if more:
        out.say((f"{'':{len(label)}}… {count(more, 'more line')}", "dim"))
    finders = " and ".join(FINDERS[finder] for finder in match.found_by)
    facts = f"by {finders} · {one_line(match.namespace)} · {match.id}"
    out.say((f"{'':{len(label)}}{cut(facts, room)}", "dim"))
    if match.metadata:
        shown = ", ".join(
            f"{one_line(key)}={one_line(json_.dumps(value, ensure_ascii=False))}"
            for key, value in match.metadata.items()
        )
        out.say((f"{'':{len(label)}}{cut(shown, room)}", "dim"))


def _note_search(out: Output, embedder: str | None) -> None:
    if embedder is None:
        out.note("searched by words alone: EMBEDDING_MODEL is not set")
        return
    out.note("searched by words and by meaning")
    out.note(embedder_note(embedder))


def _nothing(known: int, namespaces: list[str]) -> str:
    where = " and ".join(repr(namespace) for namespace in namespaces)
    if known:
        return f"nothing found; memories searched in {where}: {known:,}"
    return f"nothing is remembered in {where}; begin with: {command('remember', 'a fact worth knowing')}"
