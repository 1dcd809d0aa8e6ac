"""Parts of text memory without a database: fusion, caching, query words, validation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from holdfast.errors import UsageError
from holdfast.storage.memory.fusion import fuse
from holdfast.storage.memory.record import MAX_TEXT_BYTES, make_record
from holdfast.storage.memory.search import Question
from holdfast.storage.memory.words import MAX_QUERY_WORDS, query_words, stems


@dataclass(frozen=True)
class FusionCase:
    """Rankings, and the order that they make together."""

    name: str
    rankings: list[list[str]]
    order: list[str]


FUSION_CASES = [
    FusionCase("nothing", [[], []], []),
    FusionCase("one ranking", [["b", "a"], []], ["b", "a"]),
    FusionCase("found twice beats found first", [["a", "x"], ["b", "x"]], ["x", "a", "b"]),
    FusionCase("of equal ranks that of the first ranking", [["b"], ["a"]], ["b", "a"]),
    FusionCase("named twice counts once", [["a", "a", "a"], ["b", "a", "b"]], ["a", "b"]),
]


@pytest.mark.parametrize("case", FUSION_CASES, ids=lambda case: case.name)
def test_rankings_are_fused(case: FusionCase) -> None:
    """What several rankings find comes before what only one of them does."""
    assert [key for key, _ in fuse(case.rankings)] == case.order


def test_scores_of_fusion_are_reciprocal_ranks() -> None:
    """Scores are sums of reciprocal ranks, as documented."""
    assert fuse([["a", "b"], ["b"]], k=60) == [("b", 1 / 62 + 1 / 61), ("a", 1 / 61)]


@pytest.mark.parametrize(
    "forms",
    [
        "Haus Häuser Hauses Häusern",
        "Straße Straßen strasse",
        "memory memories",
        "run runs running",
        "deploy deploys deployed deployment",
        "Entscheidung Entscheidungen",
        "café CAFE",
    ],
)
def test_forms_of_a_word_have_one_stem(forms: str) -> None:
    """Inflected forms, umlauts and capitals of a word have one stem."""
    assert len(set(stems(forms))) == 1


def test_a_query_is_looked_for_by_its_telling_words() -> None:
    """A query is searched by its rarer words."""
    assert query_words("What did the customer say about the invoice?") == ["customer", "say", "invoice"]
    assert query_words("to be or not to be") == ["to", "be", "or", "not"]
    assert query_words("?! 😀") == []
    assert query_words("a_b; DROP TABLE x -- c'd") == ["b", "drop", "table", "x", "c", "d"]
    assert len(query_words(" ".join(f"word{number}" for number in range(100)))) == MAX_QUERY_WORDS


@dataclass(frozen=True)
class BadMemory:
    """What cannot be kept, and what the message must say."""

    name: str
    says: str
    namespace: Any = "shared"
    text: Any = "text"
    metadata: Any = None
    key: Any = None


def nested(levels: int) -> Any:
    """Lists in lists."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


BAD_MEMORIES = [
    BadMemory("blank", "not blank", text=" \n\t"),
    BadMemory("no text", "type int", text=3),
    BadMemory("too large", f"{MAX_TEXT_BYTES:,}", text="x" * 5_000_000),
    BadMemory("too large in bytes", f"{MAX_TEXT_BYTES:,}", text="漢" * (MAX_TEXT_BYTES // 3 + 1)),
    BadMemory("no namespace", "namespace", namespace=""),
    BadMemory("namespace with NUL", "printable", namespace="a\0b"),
    BadMemory("namespace with half a pair", "printable", namespace="a\ud800"),
    BadMemory("long namespace", "200", namespace="n" * 201),
    BadMemory("blank id", "id", key=" "),
    BadMemory("metadata that is a list", "must be an object", metadata=["a"]),
    BadMemory("metadata with other keys", "keys of JSON are text", metadata={1: 2}),
    BadMemory("metadata with a date object", "JSON", metadata={"a": object()}),
    BadMemory("metadata without end", "100 levels", metadata={"a": nested(100_000)}),
    BadMemory("metadata that is not a number", "JSON", metadata={"a": float("nan")}),
    BadMemory("large metadata", "16,384", metadata={"a": "x" * 20_000}),
]


@pytest.mark.parametrize("bad", BAD_MEMORIES, ids=lambda bad: bad.name)
def test_what_cannot_be_kept_is_refused_in_words(bad: BadMemory) -> None:
    """Invalid input is refused with what is accepted."""
    with pytest.raises(UsageError, match=bad.says) as refusal:
        make_record(bad.namespace, bad.text, bad.metadata, key=bad.key)
    assert len(str(refusal.value)) < 400


def test_the_same_memory_has_the_same_id() -> None:
    """Equal memories have equal ids, different ones different ids."""
    first = make_record("shared", "text", {"a": 1, "b": 2})
    assert make_record("shared", "text", {"b": 2, "a": 1}).id == first.id
    others = [make_record("x", "text", {"a": 1, "b": 2}), make_record("shared", "text"), make_record("shared", "Text")]
    assert len({record.id for record in (first, *others)}) == 4


@dataclass(frozen=True)
class BadQuestion:
    """A search that cannot be answered, and what the message must say."""

    says: str
    query: Any = "words"
    top_k: Any = 5
    namespaces: Any = field(default_factory=lambda: ["shared"])
    wanted: Any = None


@pytest.mark.parametrize(
    "bad",
    [
        BadQuestion("blank", query=""),
        BadQuestion("blank", query=" \n"),
        BadQuestion("blank", query=None),
        BadQuestion("1 to 100", top_k=0),
        BadQuestion("1 to 100", top_k=101),
        BadQuestion("1 to 100", top_k=True),
        BadQuestion("1 to 100", top_k=2.5),
        BadQuestion("at least one", namespaces=[]),
        BadQuestion("at least one", namespaces="shared"),
        BadQuestion("filter", wanted=[1]),
    ],
    ids=str,
)
def test_a_search_that_makes_no_sense_is_refused(bad: BadQuestion) -> None:
    """An invalid search is refused."""
    with pytest.raises(UsageError, match=bad.says):
        Question(bad.query, bad.top_k, bad.namespaces, bad.wanted)
    with pytest.raises(ValueError, match=bad.says):  # for those who catch Python's own
        Question(bad.query, bad.top_k, bad.namespaces, bad.wanted)
