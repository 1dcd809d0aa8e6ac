"""Splitting of documents into passages: no word is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast.storage.memory.passages import passages

TEXTS = st.text(alphabet=st.sampled_from("ab .!?\n\t漢😀"), max_size=400)


@given(TEXTS, st.integers(min_value=2, max_value=60))
def test_no_word_is_lost_and_no_passage_is_too_long(text: str, limit: int) -> None:
    """Passages hold every word and stay within their limit."""
    found = passages(text, limit)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(passage.strip() and len(passage) <= limit for passage in found)


def test_paragraphs_stay_together_while_they_fit() -> None:
    """Paragraphs that fit are not split."""
    assert passages("one\n\ntwo\n\nthree three three", 12) == ["one\n\ntwo", "three three", "three"]
    assert passages("A sentence. Another one that is longer.", 20) == ["A sentence.", "Another one that is", "longer."]
    assert passages(" \n\n \n") == []
