"""`remember` and `search`: text memory, for people."""

from __future__ import annotations

import json as json_
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue

from holdfast.cli.options import JsonOption
from holdfast.cli.program import command
from holdfast.cli.render.output import Output
from holdfast.cli.render.text import clean, count, cut, head, one_line
from holdfast.cli.storage import opened_persistence
from holdfast.errors import UsageError
from holdfast.ports.retrieval import SHARED_NAMESPACE, MemoryMatch, agent_namespace
from holdfast.scripted.hashing import HASHING_MODEL
from holdfast.settings import Settings
from holdfast.storage.memory import TextMemory
from holdfast.storage.memory.passages import passages

SHOWN_LINES = 4  # of each memory that a search finds
FINDERS = {"text": "its words", "vector": "its meaning"}

AgentOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="The memory of this agent, rather than the shared one.")
]
NamespaceOption = Annotated[str | None, typer.Option(metavar="NS", help="Another namespace of memories.")]
MetaOption = Annotated[
    list[str] | None,
    typer.Option("--meta", metavar="KEY=VALUE", help="Once for each; a VALUE that is JSON is taken as such."),
]

REMEMBER_EXAMPLES = """
    $ remember "Meyer pays late." --meta kind=fact
    $ remember "Answer in German." --agent researcher
    $ remember -f docs/handbook.md --meta source=handbook
    $ remember - < notes.txt
"""


async def remember(
    text: Annotated[
        str | None,
        typer.Argument(metavar="TEXT", help="What to remember; - reads it from stdin.", show_default=False),
    ] = None,
    *,
    file: Annotated[
        Path | None, typer.Option("-f", "--file", metavar="FILE", help="Remember a text file, in passages.")
    ] = None,
    agent: AgentOption = None,
    namespace: NamespaceOption = None,
    meta: MetaOption = None,
    json: JsonOption = False,
) -> None:
    """Keeps a text, to be found again by `search` and by agents.

    It goes to the memory that all agents share, unless --agent or --namespace
    says otherwise. What comes from a file or stdin is cut into passages of some
    2,000 characters. The same text is kept once, however often it is added.
    """
    out = Output(json=json)
    texts = _texts(text, file)
    place, metadata = _namespace(agent, namespace), _metadata(meta)
    if file is not None:
        metadata = {"source": str(file), **metadata}
    async with opened_persistence(Settings.load()) as persistence:
        memories = persistence.memories
        ids = await memories.add_many(place, texts, [metadata] * len(texts))
        embedder = memories.embedder
    if json:
        out.document({"namespace": place, "ids": ids, "embedder": embedder})
        return
    kept = list(dict.fromkeys(ids))
    out.say(
        f"remembered in {place!r}: {kept[0]}" if len(kept) == 1 else f"remembered in {place!r}: {len(kept)} passages"
    )
    _note_finding(out, embedder)


SEARCH_EXAMPLES = """
    $ search "late payments"
    $ search "late payments" --agent researcher --top-k 3
    $ search invoices --meta source=handbook --json
"""


async def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="Words or a sentence.", show_default=False)],
    *,
    top_k: Annotated[int, typer.Option("--top-k", metavar="N", min=1, max=100, help="At most so many.")] = 5,
    agent: AgentOption = None,
    namespace: NamespaceOption = None,
    meta: MetaOption = None,
    json: JsonOption = False,
) -> None:
    """Finds what was remembered, best matches first.

    Looks by words, and by meaning where there is an embedding model. With
    --agent it looks where that agent does: in its own memory and in the shared
    one.
    """
    out = Output(json=json)
    places = [_namespace(agent, namespace)] + ([SHARED_NAMESPACE] if agent else [])
    async with opened_persistence(Settings.load()) as persistence:
        memories = persistence.memories
        found = await memories.search(query, top_k, namespaces=places, filter=_metadata(meta))
        known = await _total(memories, places) if not found else 0
        embedder = memories.embedder
    if json:
        results = [match.model_dump(mode="json") for match in found]
        out.document({"query": query, "namespaces": places, "embedder": embedder, "results": results})
        return
    for number, match in enumerate(found, start=1):
        _show(out, number, match)
    if not found:
        out.note(_nothing(known, places))
    _note_looking(out, embedder)


async def _total(memories: TextMemory, places: list[str]) -> int:
    return sum([await memories.count(place) for place in places])


def _texts(text: str | None, file: Path | None) -> list[str]:
    if (text is None) == (file is None):
        raise UsageError("give a text, - for stdin, or --file FILE: one of them")
    if text is not None and text != "-":
        return [text]
    try:
        whole = sys.stdin.read() if file is None else file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file or 'stdin'} is not UTF-8 text: {error}") from None
    except OSError as error:
        raise UsageError(f"--file {str(file)!r} cannot be read: {error.strerror}") from None
    if not (found := passages(whole)):
        raise UsageError(f"{file or 'stdin'} has no text to remember")
    return found


def _namespace(agent: str | None, namespace: str | None) -> str:
    if agent is not None and namespace is not None:
        raise UsageError("--agent and --namespace exclude each other")
    if agent is not None:
        return agent_namespace(agent)
    return SHARED_NAMESPACE if namespace is None else namespace


def _metadata(pairs: list[str] | None) -> dict[str, JsonValue]:
    metadata: dict[str, JsonValue] = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--meta {pair!r} is not accepted: write KEY=VALUE")
        try:
            metadata[key] = json_.loads(value)
        except ValueError:
            metadata[key] = value
    return metadata


def _show(out: Output, number: int, match: MemoryMatch) -> None:
    lines, more = head(match.text, SHOWN_LINES)
    label = f"{number}. "
    room = out.width - len(label)
    out.say((label, "bold"), cut(lines[0] if lines else "", room))
    out.lines([f"{'':{len(label)}}{cut(line, room)}" for line in lines[1:]])
    if more:
        out.say((f"{'':{len(label)}}… {count(more, 'more line')}", "dim"))
    finders = " and ".join(FINDERS[finder] for finder in match.found_by)
    facts = f"by {finders} · {match.namespace} · {match.id}"
    out.say((f"{'':{len(label)}}{cut(facts, room)}", "dim"))
    if match.metadata:
        shown = ", ".join(
            f"{key}={one_line(json_.dumps(value, ensure_ascii=False))}" for key, value in match.metadata.items()
        )
        out.say((f"{'':{len(label)}}{cut(clean(shown), room)}", "dim"))


def _note_finding(out: Output, embedder: str | None) -> None:
    if embedder is None:
        out.note("found by its words; set EMBEDDING_MODEL to find it by its meaning too")
        return
    out.note("found by its words now, and by its meaning in a moment")
    _note_embedder(out, embedder)


def _note_looking(out: Output, embedder: str | None) -> None:
    if embedder is None:
        out.note("looked by words alone: EMBEDDING_MODEL is not set")
        return
    out.note("looked by words and by meaning")
    _note_embedder(out, embedder)


def _note_embedder(out: Output, embedder: str) -> None:
    """Names the embedder; that of the scripted one says what it is, and this what it is not."""
    scripted = embedder.startswith(HASHING_MODEL)
    out.note(f"embeddings: {embedder}{' (scripted, not a language model)' if scripted else ''}")


def _nothing(known: int, places: list[str]) -> str:
    where = " and ".join(repr(place) for place in places)
    if known:
        return f"nothing found; memories looked at in {where}: {known:,}"
    return f"nothing is remembered in {where}; begin with: {command('remember', 'a fact worth knowing')}"
