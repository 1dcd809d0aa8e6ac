"""Arguments for tools that the scripted model does not know, from the words, numbers and quotes of a question."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from holdfast.scripted.evidence import STOP_WORDS, stem

Schema = Mapping[str, Any]

MAX_DEPTH = 4  # levels of a schema that are filled in
MAX_CALLS = 3  # of one tool, if several words fit its parameter

_QUOTED = re.compile(r"\"([^\"\n]{1,200})\"|“([^”\n]{1,200})”|`([^`\n]{1,200})`|(?<!\w)'([^'\n]{1,200})'(?!\w)")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?!\.?\w)")
_WORD = re.compile(r"[^\W_]+(?:[-_.'@/:]+[^\W_]+)*")
_SENTENCE_START = re.compile(r"(?:^|[.!?:])\s*$")
_FREE_TEXT = frozenset(
    ["body", "content", "input", "message", "note", "prompt", "query", "question", "request", "text"]
)
"""Names of parameters that take a whole text."""
_FORMATS = {
    "email": re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    "url": re.compile(r"https?://\S+[\w/]"),
    "date": re.compile(r"\b\d{4}-\d{2}-\d{2}\b"),
    "path": re.compile(r"(?<![\w:/])(?:[\w.-]*/)+[\w.-]*\w|\b[\w-]+\.[a-z]{1,5}\b"),
}
_FORMAT_NAMES = {"mail": "email", "uri": "url", "link": "url", "day": "date", "file": "path"}
_DENIALS = frozenset({"no", "not", "without", "never"})


def stems(text: str) -> frozenset[str]:
    """Returns the words of a text without their endings; names such as `openOrders` are split."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text.replace("_", " "))
    return frozenset(stem(word) for word in re.findall(r"[^\W_]+", spaced))


def guess_calls(
    question: str, schema: Schema, *, named: frozenset[str], described: frozenset[str], several: bool
) -> list[dict[str, Any]]:
    """Returns the arguments of one call, or of several if several words fit the tool's only parameter.

    Args:
        question: what was asked.
        schema: JSON schema of the arguments; whatever it is, arguments are returned.
        named: stems of words that name a tool, and are therefore not arguments.
        described: stems of words that describe the tool, and are therefore arguments only if there are no others.
        several: whether more than one call may be made.
    """
    texts = _texts(question, named | described) or _texts(question, named)
    starts = range(min(len(texts), MAX_CALLS)) if several and _takes_one_word(schema) else range(0)
    calls = [_Filler(question, schema, texts[start:]).arguments() for start in starts or (0,)]
    return [call for number, call in enumerate(calls) if call not in calls[:number]]


def _texts(question: str, known: frozenset[str]) -> list[str]:
    """Returns the quotes of a question, or else the names in it, or else the words that say something about it."""
    quotes = [next(filter(None, match.groups())).strip() for match in _QUOTED.finditer(question)]
    words: dict[str, bool] = {}
    for match in _WORD.finditer(_QUOTED.sub(" ", question)):
        word, is_first = match[0], bool(_SENTENCE_START.search(match.string[: match.start()]))
        is_name = not word.isalpha() or not (word.islower() or (is_first and word.istitle()))
        shown = word if is_name else stem(word)
        if (
            len(word) > 1
            and word.lower() not in STOP_WORDS
            and not _NUMBER.fullmatch(word)
            and not stems(word) <= known
        ):
            words[shown] = is_name
    names = [word for word, is_name in words.items() if is_name]
    return list(dict.fromkeys([*quotes, *(names or ([] if quotes else words))]))


def _takes_one_word(schema: Schema) -> bool:
    required = schema.get("required")
    if not isinstance(required, list) or len(required) != 1:
        return False
    name = str(required[0])
    part = _resolved(_properties(schema).get(name), schema)
    is_text = part.get("type") == "string" and "enum" not in part
    return is_text and not stems(name) & _FREE_TEXT and _format_of(name, part) is None


class _Filler:
    """Fills in the arguments of one call; each text and number of the question is used once."""

    def __init__(self, question: str, root: Schema, texts: list[str]) -> None:
        self._question = question
        self._stems = stems(question)
        self._root = root
        self._texts = list(texts)
        self._numbers = [float(number) for number in _NUMBER.findall(_QUOTED.sub(" ", question))]

    def arguments(self) -> dict[str, Any]:
        return self._object(self._root, MAX_DEPTH)

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        properties, required = _properties(schema), schema.get("required")
        needed = [str(name) for name in required] if isinstance(required, list) else []
        filled = {}
        for name in [*needed, *(name for name in properties if name not in needed)]:
            part = _resolved(properties.get(name), self._root)
            if name in needed:
                filled[name] = self._value(name, part, depth)
            elif (found := self._named(name, part)) is not None:
                filled[name] = found
        return filled

    def _value(self, name: str, part: Schema, depth: int) -> Any:
        """Returns a value for a required parameter."""
        if (found := self._named(name, part)) is not None:
            return found
        makers: dict[object, Callable[[], Any]] = {
            "integer": lambda: self._number(part),
            "number": lambda: self._number(part),
            "boolean": lambda: bool(stems(name) & self._stems) and not self._stems & _DENIALS,
            "array": lambda: self._array(name, part, depth),
            "object": lambda: self._object(part, depth - 1) if depth else {},
            "null": lambda: None,
        }
        choices, kind = part.get("enum"), part.get("type")
        if isinstance(choices, list) and choices:
            return choices[0]
        return makers[kind]() if isinstance(kind, str) and kind in makers else self._text(name, part)

    def _named(self, name: str, part: Schema) -> Any:
        """Returns a value that the question names clearly; `None` if it names none."""
        if "const" in part:
            return part["const"]
        if isinstance(choices := part.get("enum"), list):
            return next(
                (choice for choice in choices if stems(str(choice)) and stems(str(choice)) <= self._stems), None
            )
        label = r"[ _-]".join(re.escape(word) for word in re.split(r"[_\s-]+", name) if word)
        given = re.search(rf"\b{label}\s*[:=]\s*(\"[^\"]*\"|\S+)", self._question, re.IGNORECASE) if label else None
        if given and part.get("type") in ("string", "integer", "number"):
            return self._converted(given[1].strip("\"'`.,;?!"), part)
        return None

    def _converted(self, text: str, part: Schema) -> Any:
        if part.get("type") == "string":
            return text
        try:
            return _whole(float(text), part)
        except (ValueError, OverflowError):
            return None

    def _number(self, part: Schema) -> float:
        if self._numbers:
            return _whole(self._numbers.pop(0), part)
        least = part.get("default", part.get("minimum", 1))
        return least if isinstance(least, int | float) else 1

    def _array(self, name: str, part: Schema, depth: int) -> list[Any]:
        items = _resolved(part.get("items"), self._root)
        if not depth:
            return []
        if items.get("type") in ("integer", "number"):
            numbers, self._numbers = self._numbers, []
            return [_whole(number, items) for number in numbers]
        if items.get("type") == "string" and "enum" not in items and self._texts:
            texts, self._texts = self._texts, []
            return texts
        return [self._value(name, items, depth - 1)]

    def _text(self, name: str, part: Schema) -> str:
        if (known := _format_of(name, part)) and (found := _FORMATS[known].search(self._question)):
            return found[0]
        if stems(name) & _FREE_TEXT and not _QUOTED.search(self._question):
            return self._question
        return self._texts.pop(0) if self._texts else self._question


def _whole(number: float, part: Schema) -> float:
    return round(number) if part.get("type") == "integer" or number.is_integer() else number


def _format_of(name: str, part: Schema) -> str | None:
    """Returns the format of a text, from its schema or its name."""
    words = {str(part.get("format") or ""), *stems(name)}
    known = (word if word in _FORMATS else _FORMAT_NAMES.get(word) for word in sorted(words))
    return next(filter(None, known), None)


def _properties(schema: Schema) -> Mapping[str, Any]:
    properties = schema.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def _resolved(part: object, root: Schema) -> Schema:
    """Returns a part of a schema without references and alternatives, of which the first that is not null is taken."""
    for _ in range(MAX_DEPTH):
        if not isinstance(part, Mapping):
            return {}
        if isinstance(reference := part.get("$ref"), str):
            definitions = root.get("$defs")
            part = definitions.get(reference.rpartition("/")[2]) if isinstance(definitions, Mapping) else {}
        elif isinstance(options := part.get("anyOf") or part.get("oneOf"), list):
            part = next((option for option in options if option != {"type": "null"}), {})
        else:
            kind = part.get("type")
            return {**part, "type": kind[0]} if isinstance(kind, list) and kind else part
    return {}
