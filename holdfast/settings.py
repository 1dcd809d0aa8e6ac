"""Settings, from the environment and `.env`; read by entry points only."""

from __future__ import annotations

import os
import stat
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from holdfast._util.age import ACCEPTED_AGES, age
from holdfast._util.named_values import ALL, named_values
from holdfast.bounds import MAX_NAME, MAX_SECONDS, Seconds, TemporalName, is_encodable
from holdfast.budgets import EVERYTHING, DayBudget, Dollars, parse_day_budgets
from holdfast.errors import SettingsError
from holdfast.http_access import HttpAccess
from holdfast.observability_settings import ObservabilitySettings
from holdfast.pricing import ModelPrice, parse_prices
from holdfast.rejection import reason_of
from holdfast.workspace_settings import WorkspaceSettings

SCRIPTED_MODEL = "scripted"
OPENAI_HOST, OPENROUTER_HOST = "api.openai.com", "openrouter.ai"
MAX_LIMIT = 1_000_000  # calls per second, or concurrent ones
LISTS = (
    *("holdfast_agents", "workspace_roots", "workspace_ignore", "sandbox_paths"),
    *("http_allowed_hosts", "http_private_hosts"),
)
DEFAULT_OPENAI_MODEL = "gpt-5-mini"
DEFAULT_OPENROUTER_MODEL = "openai/gpt-5-mini"


class Settings(ObservabilitySettings, WorkspaceSettings):
    """All settings with their units and defaults; environment variables have the same names in capitals."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore", env_ignore_empty=True)

    holdfast_home: Path = Field(default=Path(".holdfast"), validate_default=True)
    """State folder of the local stack: databases, logs, workspaces."""
    holdfast_agents: Annotated[tuple[str, ...], NoDecode] = ()
    """Modules whose agents the worker serves, in addition to the shipped ones; comma-separated."""
    workspace_roots: Annotated[tuple[str, ...], NoDecode] = ()
    """Folders below which runs may have their workspace; none means the current folder of the worker.
    Comma-separated."""
    holdfast_sandbox: Literal["bwrap", "container", "off"] = "bwrap"
    """How commands of agents are confined: by bubblewrap, by the container in which the worker runs, or not at all."""
    sandbox_memory_mb: int = Field(default=2048, ge=64, le=1_000_000)
    """Memory of one command, with all its processes, in MB."""
    sandbox_paths: Annotated[tuple[str, ...], NoDecode] = ()
    """Further files and folders that commands in bubblewrap can read; comma-separated."""
    http_allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """The only hosts that tools may reach over HTTP, as `example.org` or `*.example.org:8443`; none means all that are
    public. Comma-separated."""
    http_private_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Hosts that tools may reach also if their addresses are private. Comma-separated."""
    holdfast_encryption_key: SecretStr | None = None
    """Keys for payloads and mirror, `[name:]base64`, comma-separated: the first encrypts, all decrypt."""
    max_payload_bytes: int = Field(default=16 * 1024 * 1024, ge=1024, le=1024**3)
    """Largest input, tool result or model reply, in bytes of JSON."""

    agent_registry: str | None = None
    """Registry of agents: a backend's name, or `module:factory`; `None` means that of `state_persistence_backend`."""

    temporal_address: str | None = None
    """host:port; `None` means the local stack's server."""
    temporal_namespace: TemporalName = "default"
    temporal_task_queue: TemporalName = "holdfast"

    state_persistence_backend: Literal["surrealdb", "memory"] = "surrealdb"
    event_bus_backend: Literal["surrealdb", "memory"] = "surrealdb"
    """Where events are stored. In memory they only reach subscribers in the same process."""
    surrealdb_url: str | None = None
    """`None` means embedded, in the state folder. Else mem://, surrealkv://PATH, ws://, wss://, http:// or
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

    holdfast_allow_model_requests: bool = True
    """Whether models may be asked that are on another machine; tests of the pytest plugin refuse it."""
    model_idle_timeout: float = Field(default=300, gt=0, le=3600)
    """Seconds without a byte from the model, after which a call is repeated."""
    model_retry_minutes: float = Field(default=60, ge=0, le=1_000_000)
    """How long a model call is retried while its provider is unavailable; the run's time limit may end it earlier."""

    model_context_window: int | None = Field(default=None, ge=1_000, le=1_000_000_000)
    """The most tokens that models accept whose agents do not say so; `None` means as the bundled price list says."""
    model_prices: Annotated[dict[str, ModelPrice], NoDecode] = {}
    """Prices by model, which take precedence over the bundled ones; a JSON object, or a file with one."""
    model_response_cache: str | None = None
    """`on`, or a folder, for development: replies are kept in it, and used again for the same requests."""
    model_providers: str | None = None
    """Further providers, `NAME=URL`, comma-separated; their models are named `NAME/MODEL`."""
    model_provider_keys: SecretStr | None = None
    """Their API keys, `NAME=KEY`, comma-separated."""
    model_patience: float = Field(default=10, ge=0, le=MAX_SECONDS, allow_inf_nan=False)
    """Seconds that a call waits for a model with a rate limit before the next of its models is asked."""
    model_breaker_failures: int = Field(default=10, ge=0, le=10_000)
    """Consecutive failures after which a worker stops calling a provider for a while; 0 means never."""
    model_breaker_window: float = Field(default=60, gt=0, le=MAX_SECONDS, allow_inf_nan=False)
    """Seconds within which they happen."""
    model_breaker_seconds: float = Field(default=60, gt=0, le=3600)
    """Maximum seconds between two calls that try whether the provider answers again."""
    model_calls_per_second: str | None = None
    """Rate of model calls over all workers: a number for each provider, or `NAME=NUMBER`, comma-separated; `None`
    means no limit."""
    max_concurrent_model_calls: str | None = None
    """Maximum number of concurrent model calls of one worker, in the same form."""

    budget_per_day: Dollars | None = None
    """US dollars that all runs together may use on one day of UTC; `None` means no limit."""
    budgets: Annotated[dict[str, DayBudget], NoDecode] = {}
    """Daily budgets by scope, such as `tag:team=search`; a JSON object."""

    embedding_model: str | None = None
    """Model for the vectors of text memory; `None` means that memories are found by their words only."""
    embedding_dim: int = Field(default=384, ge=1, le=4096)
    """Dimensions of its vectors."""
    embedding_base_url: str | None = None
    """Its endpoint, if it differs from the chat model's."""
    embedding_api_key: SecretStr | None = None
    """Its key, if it differs from the chat model's."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] = "console"
    agent_execution_timeout: Seconds = 3600
    """Maximum seconds of a run, if neither the run nor its agent sets a limit."""
    reconcile_interval: float = Field(default=60, ge=0, le=MAX_SECONDS, allow_inf_nan=False)
    """Seconds between a worker's searches for runs that were ended from outside; 0 disables them."""
    retention: Annotated[timedelta | None, NoDecode] = None
    """How long ended runs, payloads and events are retained, as `90d`; `None` means forever."""
    max_concurrent_agents: int = Field(default=10, ge=1, le=10_000)
    """Maximum number of agents that one worker executes at the same time; waiting runs do not count."""

    max_tool_calls_per_turn: int = Field(default=128, ge=1, le=1_000)
    """Maximum number of tool calls that one turn makes; the model gets an error for each further call."""
    max_tool_result_bytes: int | None = Field(default=None, ge=1_000)
    """Most bytes of a tool's result that a model is shown, if the tool sets no limit; `None` means as much as a payload
    may have."""
    approval_timeout: Seconds | None = None
    """Seconds that an approval or a question waits for a person; `None` means without limit."""

    worker_deployment: Annotated[str, Field(pattern=r"^[^.:\s]{1,200}$")] | None = None
    """Worker Deployment of Temporal that the worker belongs to; `None` means that workers have no versions."""
    worker_build_id: Annotated[str, Field(pattern=r"^[^:\s]{1,200}$")] | None = None
    """Its version in it, such as a commit."""
    worker_versioning: Literal["auto-upgrade", "pinned"] = "auto-upgrade"
    """Whether open runs move to a version that becomes the current one, or end on the version on which they began."""

    tool_ledger: Literal["prefer", "require"] = "prefer"
    """Whether a tool call that must not take effect twice is made without a claim in the ledger while the store is
    unavailable, or waits for it."""

    @field_validator(*LISTS, mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @field_validator("http_allowed_hosts", "http_private_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        HttpAccess.parse(value)
        return value

    @field_validator("model_prices", mode="before")
    @classmethod
    def _parse_prices(cls, value: object) -> object:
        return parse_prices(value) if isinstance(value, str) else value

    @field_validator("budgets", mode="before")
    @classmethod
    def _parse_budgets(cls, value: object) -> object:
        return parse_day_budgets(value) if isinstance(value, str) else value

    @field_validator("*", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        """Refuses what cannot be passed on to programs and servers."""
        if isinstance(value, str) and not (is_encodable(value) and "\0" not in value):
            raise ValueError("it must be UTF-8 text without null characters")
        return value

    @field_validator("holdfast_home")
    @classmethod
    def _usable_path(cls, value: Path) -> Path:
        try:
            whole = str(value.absolute())
        except FileNotFoundError:
            raise ValueError("the current folder does not exist any more") from None
        if not is_encodable(whole):
            raise ValueError(f"the path of the state folder must be UTF-8 text, not {whole!r}")
        return value

    @field_validator("retention", mode="before")
    @classmethod
    def _length(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        found = age(value)
        if not found:
            raise ValueError(f"it must be {ACCEPTED_AGES}, and greater than zero")
        return found

    @field_validator("model_calls_per_second", "max_concurrent_model_calls", mode="before")
    @classmethod
    def _limits(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = f"{value:g}"
        if isinstance(value, str):
            _numbers(value, int if info.field_name == "max_concurrent_model_calls" else float)
        return value

    @field_validator("model_providers")
    @classmethod
    def _providers(cls, value: str | None) -> str | None:
        if taken := {"openai", "openrouter"} & named_values(value or "").keys():
            variables = ", ".join(f"{name.upper()}_API_KEY" for name in sorted(taken))
            raise ValueError(f"the names openai and openrouter are taken: set {variables}")
        return value

    @field_validator("model_provider_keys")
    @classmethod
    def _provider_keys(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        names = named_values(value.get_secret_value()) if value else {}
        if unknown := names.keys() - named_values(info.data.get("model_providers") or "").keys():
            raise ValueError(f"MODEL_PROVIDERS does not name {', '.join(map(repr, sorted(unknown)))}")
        return value

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
        except UnicodeDecodeError as error:
            raise SettingsError(
                f"{Path('.env').absolute()} is not UTF-8 text (byte {error.start}: {error.reason}): "
                "save it in that encoding"
            ) from None
        except OSError as error:
            raise SettingsError(f"{error.filename} cannot be read: {error.strerror}") from None
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]).upper() if first["loc"] else "settings"
            shown = (
                "(hidden)" if any(word in name for word in ("KEY", "PASSWORD", "PROVIDERS")) else _shown(first["input"])
            )
            raise SettingsError(f"{name}={shown} is not accepted: {reason_of(first)}") from None

    def prepare_home(self) -> Path:
        """Creates the state folder, for its owner only, and returns its absolute path.

        Raises:
            SettingsError: it cannot be created or written to, or its path or its permissions are not accepted.
        """
        home = self.holdfast_home.absolute()
        probe = home / f".writable.{os.getpid()}"
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)  # it contains conversations
            found = home.stat()
            if found.st_mode & stat.S_IWOTH:
                raise PermissionError(0, "any user may write to it")
            if os.geteuid() not in (found.st_uid, 0) and found.st_uid != 0:
                raise PermissionError(0, f"it belongs to another user (uid {found.st_uid})")
            probe.touch()
            probe.unlink()
        except OSError as error:
            reason = error.strerror or error
            raise SettingsError(
                f"HOLDFAST_HOME={home} cannot be used as the state folder: {reason}. "
                "Name a folder that you, and only you, may write to."
            ) from error
        return home

    @property
    def store_url(self) -> str:
        """URL of the store, from `state_persistence_backend` and `surrealdb_url`."""
        if self.state_persistence_backend == "memory":
            return "memory://"
        return self.surrealdb_url or f"surrealkv://{(self.holdfast_home / 'surrealdb').absolute()}"

    @property
    def is_in_memory(self) -> bool:
        """Whether the store is in the memory of each process."""
        return self.store_url.partition("://")[0] in ("memory", "mem")

    @property
    def http_access(self) -> HttpAccess:
        """The hosts that tools may reach."""
        return HttpAccess.parse(self.http_allowed_hosts, self.http_private_hosts)

    @property
    def missing_database(self) -> Path | None:
        """Path of the embedded database if it does not exist yet; `None` if it exists or is not embedded."""
        scheme, _, place = self.store_url.partition("://")
        return Path(place) if scheme == "surrealkv" and not Path(place).exists() else None

    @property
    def day_budgets(self) -> dict[str, DayBudget]:
        """All daily budgets by scope, from `budgets` and `budget_per_day`."""
        if self.budget_per_day is None:
            return self.budgets
        everything = self.budgets.get(EVERYTHING, DayBudget())
        return self.budgets | {EVERYTHING: everything.model_copy(update={"cost_usd_per_day": self.budget_per_day})}

    @property
    def has_model(self) -> bool:
        """Whether a model is configured; if not, the scripted model is used."""
        return bool(self.openai_api_key or self.openai_base_url or self.openrouter_api_key)

    @property
    def model_provider(self) -> str:
        """`scripted`, or the host of the provider of the models."""
        if self.default_model == SCRIPTED_MODEL:
            return SCRIPTED_MODEL
        if self.openai_base_url:
            return urlsplit(self.openai_base_url.strip()).netloc.rpartition("@")[2][:MAX_NAME]
        return OPENAI_HOST if self.openai_api_key else OPENROUTER_HOST

    @property
    def providers(self) -> dict[str, tuple[str, str | None]]:
        """URL and key of each of the further providers, by name."""
        urls = named_values(self.model_providers or "")
        keys = named_values(revealed(self.model_provider_keys) or "")
        return {name: (url, keys.get(name)) for name, url in urls.items()}

    def call_rate(self, provider: str) -> float | None:
        """Model calls per second at a provider, over all workers; `None` means no limit."""
        return _limit_of(self.model_calls_per_second, float, provider)

    def max_concurrent_calls(self, provider: str) -> int | None:
        """Maximum number of concurrent model calls of one worker at a provider; `None` means no limit."""
        limit = _limit_of(self.max_concurrent_model_calls, int, provider)
        return None if limit is None else int(limit)

    @property
    def client_model(self) -> str:
        """The model that is used if an agent brings a client and names no model."""
        return DEFAULT_OPENAI_MODEL if self.default_model == SCRIPTED_MODEL else self.default_model

    @property
    def default_model(self) -> str:
        """The model that is used if neither the run nor the agent names one."""
        if self.openai_api_key or self.openai_base_url:
            return self.openai_model or DEFAULT_OPENAI_MODEL
        if self.openrouter_api_key:
            return self.openrouter_strong_model or DEFAULT_OPENROUTER_MODEL
        return SCRIPTED_MODEL


def _numbers(text: str, kind: type[float]) -> dict[str, float]:
    """Parses numbers by provider.

    Raises:
        ValueError: one is not a positive number of this kind.
    """
    try:
        found = {name: kind(value) for name, value in named_values(text, unnamed=True).items()}
    except (ValueError, OverflowError):
        found = {}
    if not found or not all(0 < number <= MAX_LIMIT for number in found.values()):
        what = "whole number" if kind is int else "number"
        raise ValueError(f"it must be a positive {what}, or a list such as openai=20, groq=5")
    return found


def _shown(value: object) -> str:
    return repr(str(value) if isinstance(value, Path) else value)


def _limit_of(text: str | None, kind: type[float], provider: str) -> float | None:
    limits = _numbers(text, kind) if text else {}
    return limits.get(provider, limits.get(ALL))


def revealed(secret: SecretStr | None) -> str | None:
    """Returns the text of a secret."""
    return secret.get_secret_value() if secret else None
