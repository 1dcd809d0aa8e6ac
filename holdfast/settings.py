"""Settings, from the environment and `.env`; read by entry points only."""

from __future__ import annotations

import os
import stat
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import DotEnvSettingsSource, NoDecode, SettingsConfigDict

from holdfast._util.age import ACCEPTED_AGES, age
from holdfast.bounds import MAX_SECONDS, Seconds, TemporalName, is_encodable
from holdfast.budgets import EVERYTHING, DayBudget, Dollars, parse_day_budgets
from holdfast.env_file import name_misspelled, unreadable_lines_named
from holdfast.errors import SettingsError
from holdfast.http_access import HttpAccess
from holdfast.model_settings import ModelSettings
from holdfast.observability_settings import ObservabilitySettings
from holdfast.rejection import reason_of
from holdfast.workspace_settings import WorkspaceSettings

LISTS = (
    *("holdfast_agents", "workspace_roots", "workspace_ignore", "sandbox_paths"),
    *("http_allowed_hosts", "http_private_hosts"),
)


class Settings(ModelSettings, ObservabilitySettings, WorkspaceSettings):
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

    budget_per_day: Dollars | None = None
    """US dollars that all runs together may use on one day of UTC; `None` means no limit."""
    budgets: Annotated[dict[str, DayBudget], NoDecode] = {}
    """Daily budgets by scope, such as `tag:team=search`; a JSON object."""

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
        env_file = Path(".env")
        try:
            with unreadable_lines_named(env_file):
                settings = cls()
                written = DotEnvSettingsSource(cls).env_vars
        except UnicodeDecodeError as error:
            raise SettingsError(
                f"{env_file.absolute()} is not UTF-8 text (byte {error.start}: {error.reason}): "
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
        name_misspelled(env_file, written, (name.upper() for name in cls.model_fields))
        return settings

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


def _shown(value: object) -> str:
    return repr(str(value) if isinstance(value, Path) else value)


def revealed(secret: SecretStr | None) -> str | None:
    """Returns the text of a secret."""
    return secret.get_secret_value() if secret else None
