"""The full-text index in memory."""

from __future__ import annotations

import threading

from holdfast.storage.memory.word_index import Entry, WordIndex


def found(index: WordIndex, words: str, *, facets: tuple[str, ...] = (), limit: int = 10) -> list[str]:
    """Ids in the namespace `a` that have the words, best first."""
    return [key for _, key in index.matches(["a"], words.split(), facets, limit)]


def filled() -> WordIndex:
    """An index of a few texts."""
    index = WordIndex()
    index.put(
        [
            Entry(("a", "cat"), "the cat sat on the mat", {"animal"}),
            Entry(("a", "cats"), "many cats and one dog", {"animal", "many"}),
            Entry(("a", "house"), "das Haus am See", ()),
            Entry(("b", "cat"), "another cat", {"animal"}),
        ]
    )
    return index


def test_a_namespace_is_searched_by_stems() -> None:
    """Any form of a word finds the texts of the requested namespace, and of no other."""
    index = filled()
    assert sorted(found(index, "cat")) == sorted(found(index, "CATS")) == ["cat", "cats"]
    assert found(index, "Häuser") == ["house"]
    assert index.matches(["a", "b"], ["another"], (), 10) == [("b", "cat")]
    assert index.matches([], ["cat"], (), 10) == index.matches(["a"], [], (), 10) == []


def test_more_and_rarer_words_come_first() -> None:
    """A rare word counts more than a common one, and two words more than one."""
    index = WordIndex()
    index.put([Entry(("a", f"filler{number}"), f"filler text number {number}", ()) for number in range(20)])
    index.put([Entry(("a", "rare"), "filler about turbines", ()), Entry(("a", "both"), "turbines and gearboxes", ())])
    assert found(index, "turbine gearbox filler")[:2] == ["both", "rare"]
    assert len(found(index, "filler", limit=100)) == 21


def test_all_facets_are_needed() -> None:
    """A filter leaves the texts that have all of its facets, up to the limit."""
    index = filled()
    assert found(index, "cat dog", facets=("animal", "many")) == ["cats"]
    assert found(index, "cat", facets=("none",)) == []
    assert len(found(index, "cat", facets=("animal",), limit=1)) == 1


def test_what_was_replaced_or_removed_is_not_found() -> None:
    """A text is found by what it says now."""
    index = filled()
    index.put([Entry(("a", "cat"), "a bird", {"bird"})])
    index.remove(("a", "cats"))
    index.remove(("a", "never there"))
    assert found(index, "cat") == []
    assert found(index, "bird", facets=("bird",)) == ["cat"]
    assert found(index, "bird", facets=("animal",)) == []


def test_any_text_and_any_word_is_taken() -> None:
    """Signs of query languages, other scripts and words of any length are plain text."""
    index = WordIndex()
    texts = {"sql": "'; DROP TABLE words; --", "fts": 'NEAR(a "b*" AND) OR', "kanji": "漢字 かな", "long": "x" * 5_000}
    index.put([Entry(("a", name), text, ()) for name, text in texts.items()])
    assert found(index, "'; DROP") == ["sql"]
    assert found(index, "near(") == ["fts"]
    assert found(index, "漢字") == ["kanji"]
    assert found(index, "x" * 5_000) == ["long"]


def test_threads_share_an_index() -> None:
    """Threads that write and search at once leave every text findable."""
    index = WordIndex()

    def write(number: int) -> None:
        for step in range(50):
            index.put([Entry(("a", f"{number}-{step}"), f"running houses {number}", ())])
            assert index.matches(["a"], ["runs"], (), 1)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found(index, "house", limit=1_000)) == 200
