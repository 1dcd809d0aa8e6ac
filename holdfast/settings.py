"""Settings, from the environment and `.env`; read by entry points only."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from holdfast._util.age import ACCEPTED_AGES, age
from holdfast.errors import SettingsError

SCRIPTED_MODEL = "scripted"
DEFAULT_OPENAI_MODEL = "gpt-5-mini"
DEFAULT_OPENROUTER_MODEL = "openai/gpt-5-mini"


class Settings(BaseSettings):
    """All settings, with their units and defaults; the names in the environment are these in capitals."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore", env_ignore_empty=True)

    holdfast_home: Path = Path(".holdfast")
    """State folder of the local stack: databases, logs, workspaces."""
    holdfast_agents: Annotated[tuple[str, ...], NoDecode] = ()
    """Modules whose agents the worker serves, beside the shipped ones; comma-separated."""
    holdfast_encryption_key: SecretStr | None = None
    """Keys for payloads and mirror, `[name:]base64`, comma-separated: the first encrypts, all decrypt."""
    max_payload_bytes: int = Field(default=16 * 1024 * 1024, ge=1024)
    """Bytes, as JSON, that an input, a tool's result or a model's reply may have."""

    agent_registry: str | None = None
    """Registry of agents: a backend's name, or `module:factory`; None: what `state_persistence_backend` says."""

    temporal_address: str | None = None
    """host:port; None: the local stack's server."""
    temporal_namespace: str = "default"
    temporal_task_queue: str = Field(default="holdfast", min_length=1)

    state_persistence_backend: Literal["surrealdb", "memory"] = "surrealdb"
    event_bus_backend: Literal["surrealdb", "memory"] = "surrealdb"
    """Where events are kept; in memory where everything is. In memory they reach nobody but their own process."""
    surrealdb_url: str | None = None
    """None: embedded, under the state folder. Else mem://, surrealkv://PATH, ws://, wss://, http:// or
    https://HOST:PORT, or the scheme of an installed store."""
    surrealdb_namespace: str = "sentient_core"
    surrealdb_database: str = "agents"
    surrealdb_username: str | None = None
    surrealdb_password: SecretStr | None = None

    openai_api_key: SecretStr | None = None
    openai_base_url: str | None = None
    openai_model: str | None = None
    openrouter_api_key: SecretStr | None = None
    openrouter_strong_model: str | None = None

    embedding_model: str | None = None
    """Makes the vectors of text memory; None: memories are found by their words alone."""
    embedding_dim: int = Field(default=384, ge=1, le=4096)
    """Dimensions of its vectors."""
    embedding_base_url: str | None = None
    """Where it is, if not where the chat model is."""
    embedding_api_key: SecretStr | None = None
    """Its key, if not the chat model's."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] = "console"
    agent_execution_timeout: float = Field(default=3600, gt=0)
    """Seconds that a run may take where neither it nor its agent says."""
    reconcile_interval: float = Field(default=60, ge=0)
    """Seconds between two looks of a worker for runs that were ended from outside; 0: it does not look."""
    retention: Annotated[timedelta | None, NoDecode] = None
    """How long ended runs, payloads and events are kept, as `90d`; None: for ever. Workers drop what is older."""
    max_concurrent_agents: int = Field(default=10, ge=1)
    """Agents that execute at once in one worker; runs that wait do not count."""

    @field_validator("holdfast_agents", mode="before")
    @classmethod
    def _split_modules(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @field_validator("retention", mode="before")
    @classmethod
    def _length(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        found = age(value)
        if not found:
            raise ValueError(f"it must be {ACCEPTED_AGES}, and more than nothing")
        return found

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @classmethod
    def load(cls) -> Settings:
        """Reads the environment and `.env`.

        Raises:
            SettingsError: one line that names the variable, the value and what is accepted.
        """
        try:
            return cls()
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]).upper() if first["loc"] else "settings"
            shown = "(hidden)" if any(word in name for word in ("KEY", "PASSWORD")) else repr(first["input"])
            raise SettingsError(f"{name}={shown} is not accepted: {first['msg']}") from None

    @property
    def store_url(self) -> str:
        """The store that `state_persistence_backend` and `surrealdb_url` ask for, as one URL."""
        if self.state_persistence_backend == "memory":
            return "memory://"
        return self.surrealdb_url or f"surrealkv://{(self.holdfast_home / 'surrealdb').absolute()}"

    @property
    def is_in_memory(self) -> bool:
        """Whether each process keeps its own things in its memory, where no other can reach them."""
        return self.store_url.partition("://")[0] in ("memory", "mem")

    @property
    def missing_database(self) -> Path | None:
        """Where the embedded database will be, while nobody has made it; None: it is there, or is no embedded one."""
        scheme, _, place = self.store_url.partition("://")
        return Path(place) if scheme == "surrealkv" and not Path(place).exists() else None

    @property
    def has_model(self) -> bool:
        """Whether a model is configured; if not, the scripted model server answers."""
        return bool(self.openai_api_key or self.openai_base_url or self.openrouter_api_key)

    @property
    def default_model(self) -> str:
        """The model that answers where neither run nor agent names one."""
        if self.openai_api_key or self.openai_base_url:
            return self.openai_model or DEFAULT_OPENAI_MODEL
        if self.openrouter_api_key:
            return self.openrouter_strong_model or DEFAULT_OPENROUTER_MODEL
        return SCRIPTED_MODEL


def revealed(secret: SecretStr | None) -> str | None:
    """A secret's text, for whoever needs it to sign in."""
    return secret.get_secret_value() if secret else None
