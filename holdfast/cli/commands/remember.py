"""`remember`: adds a text to memory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.memory import (
    AgentOption,
    MetaOption,
    NamespaceOption,
    embedder_note,
    metadata_of,
    namespace_of,
)
from holdfast.cli.options import JsonOption
from holdfast.cli.render.output import Output
from holdfast.cli.storage import opened_persistence
from holdfast.errors import UsageError
from holdfast.settings import Settings
from holdfast.storage.memory.passages import passages

EXAMPLES = """
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
    """Stores a text that `search` and agents can find.

    It goes to the memory that all agents share, unless you name an --agent or a
    --namespace. Text from a file or stdin is split into passages of some 2,000
    characters. Adding the same text again stores nothing new.
    """
    out = Output(json=json)
    texts = _texts(text, file)
    target, metadata = namespace_of(agent, namespace), metadata_of(meta)
    if file is not None:
        metadata = {"source": str(file), **metadata}
    async with opened_persistence(Settings.load()) as persistence:
        memories = persistence.memories
        if len(texts) == 1:
            ids = [await memories.add(target, texts[0], metadata, wait=True)]
        else:
            ids = await memories.add_many(target, texts, [metadata] * len(texts))
        embedder = memories.embedder
    if json:
        out.document({"namespace": target, "ids": ids, "embedder": embedder})
        return
    kept = list(dict.fromkeys(ids))
    out.say(
        f"remembered in {target!r}: {kept[0]}" if len(kept) == 1 else f"remembered in {target!r}: {len(kept)} passages"
    )
    _note_finding(out, embedder, at_once=len(texts) == 1)


def _texts(text: str | None, file: Path | None) -> list[str]:
    if (text is None) == (file is None):
        raise UsageError("give a text, - for stdin, or --file FILE, and only one of them")
    if text is not None and text != "-":
        return [text]
    try:
        whole = sys.stdin.read() if file is None else file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file or 'stdin'} is not UTF-8 text: {error}") from None
    except OSError as error:
        raise UsageError(f"cannot read --file {str(file)!r}: {error.strerror}") from None
    if not (found := passages(whole)):
        raise UsageError(f"{file or 'stdin'} has no text to remember")
    return found


def _note_finding(out: Output, embedder: str | None, *, at_once: bool) -> None:
    if embedder is None:
        out.note("found by its words; set EMBEDDING_MODEL to find it by its meaning too")
        return
    out.note("found by its words and by its meaning" if at_once else "found by words now, and by meaning in a moment")
    out.note(embedder_note(embedder))
