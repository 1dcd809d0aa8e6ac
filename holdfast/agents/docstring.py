"""A function's docstring, split into the parts that a language model is shown."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from griffe import DocstringSection

_SECTION = re.compile(r"^\s*(:\w|-{3,}\s*$|\w[\w ]*:\s*$)", re.MULTILINE)
"""How a section may begin: `:param x: …` (Sphinx), an underlined heading (NumPy), or `Args:` (Google)."""


@dataclass(frozen=True)
class Docstring:
    """The parts of a docstring in the style of Google, NumPy or Sphinx."""

    description: str = ""
    """The text before the sections on arguments, results and errors, with its line breaks."""
    arguments: dict[str, str] = field(default_factory=dict)
    """The description of each argument; its lines are joined."""

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """Parses a docstring as written in the source; `None` and blank text have no parts."""
        text = inspect.cleandoc(text or "")
        if not _SECTION.search(text):
            return cls(text)
        sections = _sections(text)
        arguments = {
            parameter.name: " ".join(parameter.description.split())
            for section in sections
            if section.kind.value in ("parameters", "other parameters")
            for parameter in section.value
        }
        return cls("\n\n".join(_description(sections)), arguments)


def _sections(text: str) -> list[DocstringSection]:
    import griffe  # noqa: PLC0415 - takes 0.1 s, and docstrings without sections do not need it

    source = griffe.Docstring(text)
    style, _ = griffe.infer_docstring_style(source)
    return griffe.parse(source, style, **({"warnings": False} if style else {}))


def _description(sections: list[DocstringSection]) -> Iterator[str]:
    """The paragraphs, remarks and examples that precede the sections on arguments, results and errors."""
    for section in sections:
        match section.kind.value:
            case "text":
                yield section.value.strip()
            case "admonition":
                yield f"{section.title}:\n{textwrap.indent(section.value.contents, '    ')}"
            case "examples":
                examples = "\n\n".join(text for _, text in section.value)
                yield f"Examples:\n{textwrap.indent(examples, '    ')}"
            case _:
                return
