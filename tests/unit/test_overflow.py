"""Sizes that providers name when a context is too large."""

from __future__ import annotations

import pytest

from holdfast.errors import ContextOverflow, ModelUnavailable, OutOfCredit
from holdfast.fault_reason import FaultReason
from holdfast.models.faults import Fault

SAID = [
    (
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        (8192, 9000),
    ),
    (
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4500 in messages).",
        (4096, 5000),
    ),
    (
        "maximum context length is 128000 tokens. However, you requested about 150,000 tokens (1,000 in the output).",
        (128_000, 150_000),
    ),
    ("prompt is too long: 210000 tokens > 200000 maximum", (200_000, 210_000)),
    (
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        (1_048_576, 1_200_000),
    ),
    ("Prompt contains 40000 tokens, too large for model with 32768 maximum context length", (32_768, 40_000)),
    (
        "the request exceeds the available context size. try increasing the context size or enable context shift",
        (None, None),
    ),
    ("maximum context length exceeded by gpt-4-2024-08-06", (None, None)),
    ("maximum context length is 99999999999999999999999 tokens", (None, None)),
]


@pytest.mark.parametrize(("words", "tokens"), SAID, ids=lambda value: str(value)[:40])
def test_the_providers_limit_and_count_are_read(words: str, tokens: tuple[int | None, int | None]) -> None:
    """What a provider says about its limit and about the size of the request is part of the error."""
    error = Fault.parse({"message": words, "code": "context_length_exceeded"}, status=400).error(
        model="m", key_variable="KEY"
    )
    assert isinstance(error, ContextOverflow)
    assert (error.limit, error.size) == tokens


def test_fields_of_the_error_say_more_than_its_words() -> None:
    """llama.cpp names both numbers in fields."""
    body = {
        "code": 400,
        "type": "exceed_context_size_error",
        "message": "the request exceeds the available context size",
        "n_prompt_tokens": 5_000,
        "n_ctx": 4_096,
    }
    error = Fault.parse({"error": body}, status=400).error(model="m", key_variable="KEY")
    assert isinstance(error, ContextOverflow)
    assert (error.limit, error.size) == (4_096, 5_000)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(429, "rate_limited"), (503, "server_error"), (504, "timeout"), (408, "timeout"), (500, "server_error")],
)
def test_a_temporary_fault_has_a_reason(status: int, reason: str) -> None:
    """The reason of a temporary fault follows from its status."""
    error = Fault.parse({"message": "no"}, status=status).error(model="m", key_variable="KEY")
    assert isinstance(error, ModelUnavailable)
    assert error.reason == reason


def test_exhausted_credit_has_a_type_of_its_own() -> None:
    """Exhausted credit is told apart from other refusals."""
    for body, status in (({"message": "no", "code": "insufficient_quota"}, 429), ({"message": "pay"}, 402)):
        error = Fault.parse(body, status=status).error(model="m", key_variable="KEY")
        assert isinstance(error, OutOfCredit)
        assert error.reason is FaultReason.NO_CREDIT
