"""Specifications of agents and of their tools, in the form that a run carries: only data, without code."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from holdfast.answers import OutputSpec
from holdfast.approval import Approval
from holdfast.bounds import (
    MAX_COUNT,
    MAX_NAME,
    MAX_RETRIES,
    Json,
    Models,
    Name,
    Seconds,
    TemporalName,
    Text,
    Turns,
    Window,
)
from holdfast.budgets import Budget
from holdfast.data import Tolerant
from holdfast.server_tools import ServerTools


class ToolSpec(Tolerant):
    """Specification of a tool for the model and the workflow; the code stays on the worker."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    description: Text = ""
    parameters: dict[Text, Json] = {"type": "object", "properties": {}}
    """JSON schema of the arguments."""
    activity: Annotated[TemporalName, Field(pattern=r"^tool\.")]
    """Activity type that runs it: `tool.<name>`, or `tool.<agent>.<name>` for an agent's method."""
    read_only: bool = False
    """It changes nothing, so it may be retried after a crash."""
    idempotent: bool = False
    """Calling it twice with the same arguments has the same effect as calling it once."""
    destructive: bool = False
    """It may destroy something."""
    timeout: Seconds = 60.0
    """Maximum seconds of one attempt."""
    retries: int = Field(default=0, ge=0, le=MAX_RETRIES)
    """Further attempts after an error raised by the tool; only if read-only or idempotent."""
    approval: Approval = "never"
    """Whether a person must approve its calls."""
    operation: Text | None = None
    """What the run itself does instead of calling an activity, as `sleep`; `None` means that a worker performs it."""
    agent: Text | None = None
    """The other agent, if `operation` is `ask_agent` or `hand_off`: one of `AgentSpec.agents` or `handoffs`."""
    claims: bool = False
    """Whether its worker claims each call in the ledger before it begins, if there is a ledger: only then may a call be
    attempted again that was lost with its worker, although it must not take effect twice."""
    on_unknown: Literal["tell", "ask"] = "tell"
    """Whether the model is told, or a person is asked, if it is unknown whether a call took effect."""
    verifies: bool = False
    """Whether its worker can find out whether a call took effect."""
    task_queue: TemporalName | None = None
    """Task queue of its worker; `None` means that of the run."""
    max_result: Annotated[int | None, Field(ge=1_000, le=MAX_COUNT, exclude_if=lambda limit: limit is None)] = None
    """Most bytes of the content of a result; `None` means what the worker allows."""
    concurrency: Annotated[int | None, Field(ge=1, le=1_000, exclude_if=lambda calls: calls is None)] = None
    """Most calls that one worker makes at once; `None` means no limit of its own."""

    @property
    def repeatable(self) -> bool:
        """Whether an attempt whose outcome is unknown may be retried."""
        return self.read_only or self.idempotent


class AgentSpec(Tolerant):
    """An agent's definition in the form that a run carries: only data, without code."""

    name: Name
    description: Annotated[Text, Field(exclude_if=lambda text: not text)] = ""
    """What the agent does, for people and for the agents that may ask it."""
    system_prompt: Text = ""
    system_prompt_function: Annotated[Text | None, Field(exclude_if=lambda name: name is None)] = None
    """Name of the function of the agent that writes the system prompt when a run begins; in the log of a run, `None`
    once it has."""
    model: Models | None = None
    """A model, or several of which the first that is available answers; `None` means the worker's default model."""
    model_settings: dict[Text, Json] = {}
    """Further fields of the request to the model, such as `temperature` or `max_tokens`."""
    tools: list[ToolSpec] = []
    agents: Annotated[list[Text | AgentSpec], Field(exclude_if=lambda agents: not agents)] = []
    """Agents that it may ask, each by a tool `ask_<name>`: names, with or without a version, or definitions."""
    handoffs: Annotated[list[Text], Field(exclude_if=lambda handoffs: not handoffs)] = []
    """Agents to which it may hand off, each by a tool `transfer_to_<name>`: names, with or without a version."""
    team: Annotated[dict[Text, AgentSpec], Field(exclude_if=lambda team: not team)] = {}
    """The agents that handoffs can reach from this one, without itself, as `handoffs` names them; they have no team."""
    mcp: Annotated[list[ServerTools], Field(exclude_if=lambda servers: not servers)] = []
    """MCP servers whose tools are not read yet; `tools` has them when the run has started."""
    max_turns: Turns = 50
    timeout: Seconds | None = None
    """Maximum seconds of a run; `None` means the worker's AGENT_EXECUTION_TIMEOUT."""
    budget: Budget | None = None
    """What a run and its children may use; `None` means no limit."""
    context_window: Window | None = None
    """The most tokens that the model accepts; `None` means what the worker knows of the model."""
    memory_path: Annotated[Text | None, Field(exclude_if=lambda path: path is None)] = None
    """Name of its folder below AGENT_MEMORY_ROOT, whose files last over its runs; `None` means that it has none."""
    version: int | None = None
    """Version of a registered agent; `None` if it is not from a registry with versions."""
    code_queue: Annotated[TemporalName | None, Field(exclude_if=lambda queue: queue is None)] = None
    """Task queue of the process that has the agent's code; `None` means that of the run."""
    output: Annotated[OutputSpec | None, Field(exclude_if=lambda output: output is None)] = None
    """The form of its answers; `None` means text."""
    input_guards: Annotated[list[Text], Field(exclude_if=lambda guards: not guards)] = []
    """Names of the functions that see each message of a person before the model does."""
    output_guards: Annotated[list[Text], Field(exclude_if=lambda guards: not guards)] = []
    """Names of the functions that see each answer before it is given."""

    client: Annotated[Text | None, Field(exclude_if=lambda host: host is None)] = None
    """Host of the client that the agent brings for its model calls; `None` means that it uses the worker's models."""
    model_wrappers: Annotated[list[Text], Field(exclude_if=lambda names: not names)] = []
    """Names of the functions around its model calls, the outermost first."""
    tool_wrappers: Annotated[list[Text], Field(exclude_if=lambda names: not names)] = []
    """Names of the functions around its tool calls, likewise."""

    may_be_cut: Annotated[bool, Field(exclude_if=lambda may_be: not may_be)] = False
    """Whether an answer that ends at its maximum length is an answer."""

    @property
    def calls_model_itself(self) -> bool:
        """Whether its model calls are made where its code is."""
        return self.client is not None or bool(self.model_wrappers)

    @property
    def models(self) -> list[str]:
        """The models in order of preference; empty means the worker's default model."""
        return model_names(self.model)

    def acting(self, active: str | None) -> AgentSpec:
        """Returns the agent that acts in a run of this one.

        Args:
            active: the agent that the run was handed to last; `None` means that it was not handed over. One that is not
                in the team stands for this agent itself.
        """
        return self if active is None else self.team.get(active, self)


def model_names(model: str | list[str] | None) -> list[str]:
    """Returns the models that a field of type `Models` names, in order of preference."""
    if model is None:
        return []
    return [model] if isinstance(model, str) else list(model)


AgentSpec.model_rebuild()
