"""The workflows that a worker registers."""

from holdfast.workflows.embed_memories import EmbedMemories
from holdfast.workflows.event_topic import EventTopic
from holdfast.workflows.mirror_catch_up import MirrorCatchUp
from holdfast.workflows.run.agent_run import AgentRun
from holdfast.workflows.tool_run import ToolRun
from holdfast.workflows.unknown import UnknownWorkflow

WORKFLOWS = [AgentRun, MirrorCatchUp, EmbedMemories, EventTopic, ToolRun, UnknownWorkflow]
