"""Deterministic code: what a run does, and in which order. Side effects are in `activities`."""

from workflows.agent_run import AgentRun
from workflows.embed_memories import EmbedMemories
from workflows.mirror_catch_up import MirrorCatchUp
from workflows.unknown import UnknownWorkflow

WORKFLOWS = [AgentRun, MirrorCatchUp, EmbedMemories, UnknownWorkflow]
"""What worker.py registers."""
