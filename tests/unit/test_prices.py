"""Prices of models: the bundled list, those that people set, and how costs are shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast.errors import SettingsError
from holdfast.models.prices import BundledPrices, context_window
from holdfast.models.usage import parse_usage
from holdfast.pricing import ModelPrice, parse_prices
from holdfast.settings import Settings
from holdfast.types import Usage

MILLION = Usage(requests=1, input_tokens=1_000_000, cached_tokens=400_000, output_tokens=1_000_000, unpriced=1)


def test_bundled_prices() -> None:
    """A model of a provider that is listed costs what the list says, cached tokens less."""
    prices = BundledPrices("api.openai.com")
    price = prices.price("gpt-5-mini")
    assert price is not None
    assert price.cached_input is not None
    assert 0 < price.cached_input < price.input < price.output
    cost = prices.cost("gpt-5-mini", MILLION)
    assert cost == pytest.approx(0.6 * price.input + 0.4 * price.cached_input + price.output)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("api.openai.com", "gpt-5-mini-2025-08-07"),
        ("openrouter.ai", "openai/gpt-5-mini"),
        ("openrouter.ai", "anthropic/claude-sonnet-4.5"),
        ("127.0.0.1:4000", "openai/gpt-5-mini"),
        ("127.0.0.1:4000", "gpt-5-mini"),
        ("api.groq.com", "llama-3.3-70b-versatile"),
    ],
)
def test_models_are_found_by_the_names_that_providers_use(provider: str, model: str) -> None:
    """A model is found by a dated name, by a gateway's name, and behind a gateway on this machine."""
    assert BundledPrices(provider).cost(model, MILLION)


def test_an_unknown_price_is_none() -> None:
    """The price of a model that is not listed is unknown, which is not the same as free."""
    prices = BundledPrices("127.0.0.1:8000")
    assert prices.cost("test-model", MILLION) is None
    assert prices.price("test-model") is None
    assert prices.context_window("test-model") is None


def test_the_scripted_model_is_free() -> None:
    """The scripted model costs nothing, under whatever name."""
    assert BundledPrices("scripted").cost("test-model", MILLION) == 0
    assert BundledPrices("127.0.0.1:8000").cost("scripted", MILLION) == 0


def test_a_price_that_was_set_wins() -> None:
    """MODEL_PRICES wins over the list, by name before pattern."""
    table = {"gpt-*": ModelPrice(input=7, output=7), "gpt-5-mini": ModelPrice(input=1, output=2, context_window=9)}
    prices = BundledPrices("api.openai.com", table)
    assert prices.cost("gpt-5-mini", MILLION) == pytest.approx(3)
    assert prices.cost("gpt-4o", MILLION) == pytest.approx(14)
    assert prices.context_window("gpt-5-mini") == 9
    assert prices.context_window("gpt-4o") == 128_000, "a price alone does not hide the window"


def test_context_windows() -> None:
    """The size of a model's context comes from the same list."""
    assert context_window("gpt-5-mini", "api.openai.com") == 400_000
    assert context_window("openai/gpt-5-mini") == 400_000
    assert context_window("scripted", "scripted") is None


def test_the_highest_of_several_prices_is_the_estimate() -> None:
    """A price that depends on the size of the request is estimated by its highest tier."""
    prices = BundledPrices("generativelanguage.googleapis.com")
    price = prices.price("gemini-2.5-pro")
    small = prices.cost("gemini-2.5-pro", Usage(input_tokens=1_000, output_tokens=1_000))
    assert price is not None
    assert small is not None
    assert price.cost(Usage(input_tokens=1_000, output_tokens=1_000)) > small > 0


@pytest.mark.parametrize(
    ("wire", "unpriced"), [({}, 1), ({"cost": 0}, 0), ({"cost": 0.5}, 0), ({"cost": {"total_cost": 0.5}}, 0)]
)
def test_a_reported_cost_is_told_from_none(wire: dict[str, object], unpriced: int) -> None:
    """A provider that reports a cost of 0 has priced the call; one that reports none has not."""
    assert parse_usage({"prompt_tokens": 1, **wire}).unpriced == unpriced


@dataclass(frozen=True)
class Shown:
    usage: Usage
    text: str


@pytest.mark.parametrize(
    "shown",
    [
        Shown(Usage(requests=1, cost_usd=0.012), "$0.0120"),
        Shown(Usage(requests=1, cost_usd=0.00004), "under $0.0001"),
        Shown(Usage(requests=1), ""),
        Shown(Usage(requests=1, unpriced=1), "$?"),
        Shown(Usage(requests=2, unpriced=1, cost_usd=0.012), "at least $0.0120"),
    ],
    ids=lambda shown: shown.text or "none",
)
def test_an_unknown_cost_is_shown_as_unknown(shown: Shown) -> None:
    """A cost that is not known is never shown as $0."""
    assert shown.usage.shown_cost == shown.text


def test_a_known_price_adds_no_byte() -> None:
    """Usage whose price is known has the fields that it always had."""
    assert "unpriced" not in Usage(requests=1).model_dump(mode="json")
    assert Usage(unpriced=1).model_dump(mode="json")["unpriced"] == 1


def test_prices_in_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MODEL_PRICES is a JSON object, or a file with one."""
    monkeypatch.chdir(tmp_path)
    text = '{"my-model": {"input": 0.25, "output": 2, "cached_input": 0.1, "context_window": 32000}}'
    (tmp_path / "prices.json").write_text(text)
    for value in (text, "prices.json"):
        monkeypatch.setenv("MODEL_PRICES", value)
        found = Settings.load().model_prices
        assert found == {"my-model": ModelPrice(input=0.25, output=2, cached_input=0.1, context_window=32_000)}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{", "it is not JSON"),
        ("missing.json", "it is neither JSON such as"),
        ('{"m": 3}', "a price must be an object"),
        ('{"m": {"input": -1, "output": 2}}', "input must be at least 0"),
        ('{"m": {"input": 1}}', "output is missing"),
        ('{"m": {"input": 1, "output": 2, "inputs": 3}}', "inputs is not a known field"),
        ('{"m": {"input": "NaN", "output": 2}}', "input"),
    ],
)
def test_prices_that_are_not_accepted(value: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad table of prices stops the program with one line that says what is accepted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODEL_PRICES", value)
    with pytest.raises(SettingsError) as error:
        Settings.load()
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_of_prices_that_is_no_table(tmp_path: Path) -> None:
    """A file whose content is not an object is refused in words."""
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    for name, words in (("list.json", "must be a JSON object"), ("binary.json", "not UTF-8")):
        with pytest.raises(ValueError, match=words):
            parse_prices(str(tmp_path / name))
