"""The nouns that cross a process boundary: plain data, each with its unit and its meaning."""

from __future__ import annotations

import enum
import hashlib
import json
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

RunId = str
"""A run's id, which is its workflow id."""

MAX_INPUT_BYTES = 512 * 1024
"""Largest input of a run, in UTF-8 bytes, where nothing takes large payloads off Temporal, which ends a workflow
whose input exceeds 2 MB."""


def clean_text(value: Any) -> Any:
    """Replaces lone surrogates, which no UTF-8 encoder takes, by U+FFFD; leaves what is not text alone."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return value


Text = Annotated[str, BeforeValidator(clean_text)]
"""Text that is sure to survive UTF-8."""


class Data(BaseModel):
    """Base of the boundary models: unknown fields are refused, so that a typing slip is noticed."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Tolerant(Data):
    """Base of what workers of different versions exchange: fields that a newer version added are kept, unread."""

    model_config = ConfigDict(extra="allow")


class RunStatus(enum.StrEnum):
    """Where a run stands; the same words everywhere."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"

    @property
    def is_final(self) -> bool:
        """Whether the run has ended."""
        return self in FINAL_STATUSES


FINAL_STATUSES = frozenset(
    {RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.TERMINATED, RunStatus.TIMED_OUT}
)


class ToolCall(Tolerant):
    """One call that the model asked for."""

    id: str
    """The provider's id of the call; unique within a turn."""
    name: str
    arguments: Text = "{}"
    """The JSON text exactly as the model wrote it; it may be malformed."""

    @property
    def sound_arguments(self) -> str:
        """The arguments as JSON that parses: strict providers refuse a transcript with anything else."""
        try:
            json.loads(self.arguments)
        except (ValueError, RecursionError):
            return json.dumps({"malformed": self.arguments}, ensure_ascii=False)
        return self.arguments


class Message(Tolerant):
    """One message of a transcript."""

    seq: int
    """Place in the transcript: dense, from 0 (the system prompt)."""
    role: Literal["system", "user", "assistant", "tool"]
    content: Text = ""
    tool_calls: list[ToolCall] = []
    tool_call_id: str | None = None
    """For role `tool`: the call that this answers."""
    partial: bool = False
    """True when a cancel cut the message short."""

    @cached_property
    def chat_json(self) -> bytes:
        """The message in OpenAI's chat format; made once, as a long transcript is sent again with each turn."""
        return json.dumps(self._in_chat_format(), ensure_ascii=False, separators=(",", ":")).encode()

    def _in_chat_format(self) -> dict[str, Any]:
        chat: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.role == "tool":
            chat["tool_call_id"] = self.tool_call_id
        if self.tool_calls:
            chat["content"] = self.content or None  # some providers refuse empty text beside calls
            chat["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.sound_arguments}}
                for call in self.tool_calls
            ]
        return chat


class Usage(Tolerant):
    """What model calls have used; adds up with `+`."""

    requests: int = 0
    """Model calls that ended, well or cut short."""
    input_tokens: int = 0
    cached_tokens: int = 0
    """The part of `input_tokens` that the provider read from its cache."""
    output_tokens: int = 0
    cost_usd: float = 0.0
    """As reported by the provider; 0 when it reports none."""

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in Usage.model_fields})


class ToolSpec(Tolerant):
    """What the model and the workflow know of a tool; the code stays on the worker."""

    name: str
    description: str = ""
    parameters: dict[str, JsonValue] = {"type": "object", "properties": {}}
    """JSON schema of the arguments."""
    activity: str
    """Activity type that runs it: `tool.<name>`, for an agent's method `tool.<agent>.<name>`."""
    read_only: bool = False
    """It changes nothing, so it may run again after a crash."""
    idempotent: bool = False
    """Running it twice with the same arguments does what running it once does."""
    destructive: bool = False
    """It may destroy something."""
    timeout: float = 60.0
    """Seconds that one attempt may take."""
    retries: int = 0
    """Further attempts after an error raised by the tool; only if read-only or idempotent."""
    approval: bool = False
    """A person must approve each call."""
    task_queue: str | None = None
    """Where its worker polls; None: where the run does."""

    @property
    def repeatable(self) -> bool:
        """Whether an attempt that nobody saw end may be made again."""
        return self.read_only or self.idempotent


class AgentSpec(Tolerant):
    """An agent's definition as a run carries it: all data, no code."""

    name: str
    system_prompt: Text = ""
    model: str | None = None
    """None: the worker's default model."""
    model_settings: dict[str, JsonValue] = {}
    """Further fields of the request to the model, such as `temperature` or `max_tokens`."""
    tools: list[ToolSpec] = []
    max_turns: int = Field(default=50, ge=1)
    timeout: float | None = Field(default=None, gt=0)
    """Seconds that a run may take; None: the worker's AGENT_EXECUTION_TIMEOUT."""
    version: int | None = None
    """Which version of a registered agent this is; None: it does not come from a registry that counts."""


class TranscriptRef(Tolerant):
    """A point in a run's log: everything up to and with this entry."""

    seq: int
    """Entry number."""
    digest: str
    """That entry's digest, which vouches for all before it."""


EntryKind = Literal["start", "message", "tool_result", "status", "finish"]


class Entry(Tolerant):
    """One item of a run's ordered log.

    `data` by kind:
        start: `agent` (AgentSpec), `request` (the RunRequest, without `agent` and `carried`)
        message: `message` (Message); from the model also `model`, `finish_reason`, `usage`, `seconds`
        tool_result: `message` (Message of role tool), `tool`, `error` (bool), `files`, `seconds`
        status: `status` (RunStatus), `reason`
        finish: `result` (RunResult)
    """

    seq: int
    """Dense, from 0, within the run."""
    at: AwareDatetime
    """Workflow time."""
    kind: EntryKind | str
    """A log that a newer version wrote may have kinds that this one does not know; they are kept as they are."""
    turn: int
    data: dict[str, Any]
    digest: str
    """sha256, hex, of the previous entry's digest and this entry's canonical JSON."""

    @classmethod
    def chained(
        cls, previous: str, *, seq: int, at: datetime, kind: EntryKind, turn: int, data: dict[str, Any]
    ) -> Self:
        """Returns an entry that follows the one whose digest is `previous` ("" before entry 0).

        `data` must be plain JSON values.
        """
        canonical = _canonical([seq, at.isoformat(), kind, turn, data])
        entry = cls(seq=seq, at=at, kind=kind, turn=turn, data=data, digest=_digest(previous, canonical))
        vars(entry)["size"] = len(canonical)
        return entry

    def follows(self, previous: str) -> bool:
        """Whether this entry is unaltered and follows the one whose digest is `previous`."""
        return self.digest == _digest(previous, self._canonical())

    @cached_property
    def size(self) -> int:
        """Length of the entry's canonical JSON: some 100 bytes less than it takes as a payload."""
        return len(self._canonical())

    @property
    def ref(self) -> TranscriptRef:
        """This entry as a point in the log."""
        return TranscriptRef(seq=self.seq, digest=self.digest)

    @cached_property
    def message(self) -> Message | None:
        """The transcript message that this entry carries, if any."""
        if self.kind in ("message", "tool_result"):
            return Message.model_validate(self.data["message"])
        return None

    def _canonical(self) -> str:
        return _canonical([self.seq, self.at.isoformat(), self.kind, self.turn, self.data])


def _canonical(content: list[Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def _digest(previous: str, canonical: str) -> str:
    """sha256, hex, of the digest before an entry and of the entry's canonical JSON."""
    return hashlib.sha256(f"{previous}{canonical}".encode()).hexdigest()


class RunError(Tolerant):
    """Why a run did not end well."""

    type: str
    """One of the names in `holdfast.errors.ErrorType`."""
    message: Text


class RunResult(Tolerant):
    """How a run ended."""

    run_id: RunId
    agent: str
    status: RunStatus
    output: Text = ""
    """The last text that the model wrote; after a cancel, what there was of it."""
    error: RunError | None = None
    usage: Usage = Usage()
    turns: int = 0
    tool_calls: int = 0
    model: str | None = None
    """The model that answered last, as it named itself."""
    files: list[str] = []
    """Files that tools say they wrote, relative to the workspace, in order, without repeats."""
    workspace: str | None = None
    """The folder that the tools worked in, on the worker's machine; None: the run never began."""
    started_at: AwareDatetime
    finished_at: AwareDatetime | None = None


class RunSummary(Tolerant):
    """A run at a glance: the row of `run` in the mirror, and a line of a list."""

    run_id: RunId
    agent: str
    status: RunStatus
    turn: int = 0
    usage: Usage = Usage()
    tool_calls: int = 0
    input: Text = ""
    """The start of the input, at most 200 characters."""
    parent: RunId | None = None
    model: str | None = None
    """The model that answered last, as it named itself."""
    error: RunError | None = None
    """Why it did not end well, where it did not."""
    started_at: AwareDatetime
    finished_at: AwareDatetime | None = None


class RunProgress(RunSummary):
    """What the `status` query answers."""

    doing: str = ""
    """What the run does now, in a few words."""
    max_turns: int | None = None
    """None: not known yet."""
    deadline: AwareDatetime | None = None
    """When the run's time limit ends it; None: not known yet, or the run is over."""
    output: Text = ""
    files: list[str] = []
    workspace: str | None = None
    """The folder that the tools work in, on the worker's machine; None: not known yet."""
    head: int = -1
    """Newest entry's seq; -1: none."""
    digest: str = ""
    """Newest entry's digest, which vouches for all before it; empty: none."""
    mirrored: int = -1
    """Newest entry that the mirror has acknowledged; -1: none."""


class MirroredRun(Tolerant):
    """What the mirror has of a run."""

    summary: RunSummary
    chain: str
    """See EntryBatch.chain."""
    head: TranscriptRef


class EntryBatch(Tolerant):
    """Consecutive entries of one run on their way to the mirror."""

    run_id: RunId
    chain: str
    """See CarriedState.chain; a newer chain replaces what an older one left under the same run id."""
    previous_digest: str
    """Digest of the entry before the first one; empty before entry 0."""
    entries: list[Entry]
    """Oldest first, dense, at least one."""
    summary: RunSummary
    """The run as of the last entry."""


class Context(Tolerant):
    """What a model call starts from: the definition and the messages up to a point of the log."""

    spec: AgentSpec
    messages: list[Message]


class ModelReply(Tolerant):
    """What the model answered."""

    content: Text = ""
    tool_calls: list[ToolCall] = []
    model: str
    """As the provider named it."""
    finish_reason: str
    """The provider's word; `cancelled` when a cancel cut the answer short."""
    usage: Usage
    seconds: float
    """From sending the request to the last byte."""
    attempts: int = 1
    """How often the call was started; more than once after a fault or the loss of its worker."""
    mirrored: bool = False
    """Whether the mirror has acknowledged the entries that the call carried."""


class ToolResult(Tolerant):
    """What a tool gives back: to the model, and to whoever watches."""

    content: Text = ""
    """What the model reads."""
    error: Text | None = None
    """What went wrong, in words that the model can act on; None: nothing."""
    files: list[str] = []
    """Files written, relative to the workspace."""
    seconds: float = 0.0
    attempts: int = 1
    """How often the call was begun."""
