"""Settings: defaults and invalid values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast.errors import SettingsError
from holdfast.settings import Settings


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads a `.env` of the developer, and none has a setting."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_HOME")
    return tmp_path


def test_defaults(empty_folder: Path) -> None:
    """Without any settings, everything is local and works."""
    settings = Settings.load()
    assert settings.store_url == f"surrealkv://{empty_folder / '.holdfast' / 'surrealdb'}"
    assert not settings.has_model
    assert settings.default_model == "scripted"
    assert settings.temporal_address is None


@dataclass(frozen=True)
class BadValue:
    name: str
    value: str
    shown: list[str]


BAD = [
    BadValue("MAX_CONCURRENT_AGENTS", "many", ["MAX_CONCURRENT_AGENTS='many'", "whole number"]),
    BadValue("MAX_CONCURRENT_AGENTS", "0", ["MAX_CONCURRENT_AGENTS='0'", "1"]),
    BadValue("AGENT_EXECUTION_TIMEOUT", "-5", ["AGENT_EXECUTION_TIMEOUT='-5'", "greater than 0"]),
    BadValue("AGENT_EXECUTION_TIMEOUT", "1e300", ["AGENT_EXECUTION_TIMEOUT='1e300'", "at most 315,360,000"]),
    BadValue("AGENT_EXECUTION_TIMEOUT", "nan", ["AGENT_EXECUTION_TIMEOUT='nan'", "finite"]),
    BadValue("RECONCILE_INTERVAL", "inf", ["RECONCILE_INTERVAL='inf'", "finite"]),
    BadValue("MAX_CONCURRENT_AGENTS", "9" * 30, ["MAX_CONCURRENT_AGENTS=", "10,000"]),
    BadValue("TEMPORAL_TASK_QUEUE", "q" * 1001, ["TEMPORAL_TASK_QUEUE=", "1,001 bytes"]),
    BadValue("RETENTION", "soon", ["RETENTION='soon' is not accepted: it must be", "90s"]),
    BadValue("MODEL_CALLS_PER_SECOND", "0", ["MODEL_CALLS_PER_SECOND='0'", "positive number", "openai=20, groq=5"]),
    BadValue("MODEL_CALLS_PER_SECOND", "groq=fast", ["MODEL_CALLS_PER_SECOND='groq=fast'", "positive number"]),
    BadValue("MODEL_CALLS_PER_SECOND", "nan", ["positive number"]),
    BadValue("MAX_CONCURRENT_MODEL_CALLS", "2.5", ["MAX_CONCURRENT_MODEL_CALLS='2.5'", "positive whole number"]),
    BadValue("MODEL_PROVIDERS", "http://127.0.0.1", ["MODEL_PROVIDERS=(hidden)", "groq=VALUE"]),
    BadValue("MODEL_PROVIDERS", "a=http://x, a=http://y", ["MODEL_PROVIDERS=(hidden)", "'a' has two values"]),
    BadValue("MODEL_PROVIDERS", "openrouter=http://x", ["MODEL_PROVIDERS=(hidden)", "OPENROUTER_API_KEY"]),
    BadValue("MODEL_PROVIDER_KEYS", "groq=secret", ["MODEL_PROVIDER_KEYS=(hidden)", "does not name 'groq'"]),
    BadValue("LOG_FORMAT", "xml", ["LOG_FORMAT='xml'", "console", "json"]),
    BadValue("STATE_PERSISTENCE_BACKEND", "redis", ["STATE_PERSISTENCE_BACKEND='redis'", "surrealdb", "memory"]),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: f"{bad.name}={bad.value}")
def test_a_bad_value_is_named_with_what_is_accepted(bad: BadValue, monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid value is reported with its variable and what is accepted."""
    monkeypatch.setenv(bad.name, bad.value)
    with pytest.raises(SettingsError) as error:
        Settings.load()
    assert "\n" not in str(error.value)
    for words in bad.shown:
        assert words in str(error.value)


def test_the_environment_wins_over_the_file(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment takes precedence over `.env`."""
    (empty_folder / ".env").write_text("OPENAI_API_KEY=from-file\nOPENAI_MODEL=file-model\nUNKNOWN=x\n")
    monkeypatch.setenv("OPENAI_MODEL", "environment-model")
    settings = Settings.load()
    assert settings.has_model
    assert settings.default_model == "environment-model"
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == "from-file"
    assert "from-file" not in repr(settings)


def test_lines_of_the_file_that_have_no_effect_are_named(empty_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An unreadable line and a misspelled setting are named once; variables of other programs are not."""
    file = empty_folder / ".env"
    lines = ["this is not a line", "MODEL_IDLE_TIMEUOT=5", "OPENAI_APIKEY=k", "OPENAI_ORG_ID=o", "LOG_LEVEL=DEBUG"]
    file.write_text("\n".join(lines))
    assert Settings.load().log_level == "DEBUG"
    Settings.load()
    assert [record.getMessage() for record in caplog.records] == [
        f"{file}, line 1 is ignored: it is not NAME=VALUE",
        f"{file}: MODEL_IDLE_TIMEUOT is not a setting and is ignored; did you mean MODEL_IDLE_TIMEOUT?",
        f"{file}: OPENAI_APIKEY is not a setting and is ignored; did you mean OPENAI_API_KEY?",
    ]


def test_openai_wins_over_openrouter(monkeypatch: pytest.MonkeyPatch) -> None:
    """OPENAI_* takes precedence over OPENROUTER_*, as in the adapter."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "router")
    assert Settings.load().default_model == "openai/gpt-5-mini"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert Settings.load().default_model == "gpt-5-mini"


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable counts as unset."""
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "")
    settings = Settings.load()
    assert not settings.has_model
    assert settings.temporal_address is None
    assert Settings(holdfast_agents="a, b,,c").holdfast_agents == ("a", "b", "c")


def test_providers_and_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Further providers have a URL, and perhaps a key; a limit is for all providers, or for those that it names."""
    monkeypatch.setenv("MODEL_PROVIDERS", "groq=https://groq.test/v1, local=http://127.0.0.1:1/v1?a=b")
    monkeypatch.setenv("MODEL_PROVIDER_KEYS", "groq=gsk=1")
    monkeypatch.setenv("MODEL_CALLS_PER_SECOND", "20, groq=0.5")
    monkeypatch.setenv("MAX_CONCURRENT_MODEL_CALLS", "groq=3")
    settings = Settings.load()
    assert settings.providers == {
        "groq": ("https://groq.test/v1", "gsk=1"),
        "local": ("http://127.0.0.1:1/v1?a=b", None),
    }
    assert (settings.call_rate("openai"), settings.call_rate("groq")) == (20, 0.5)
    assert (settings.max_concurrent_calls("openai"), settings.max_concurrent_calls("groq")) == (None, 3)
    assert Settings().call_rate("openai") == 20
    monkeypatch.delenv("MODEL_CALLS_PER_SECOND")
    assert Settings().call_rate("openai") is None
    assert Settings(model_calls_per_second=5).call_rate("openai") == 5
