"""Agents whose run is a function of yours, as a program defines and runs them."""

from __future__ import annotations

from holdfast.agents import tasks
from holdfast.client.agent import Agent


class TaskAgent(tasks.TaskAgent, Agent):
    """An agent whose run is your own `run_task`, instead of a conversation of a model with tools.

        class Writer(TaskAgent):
            tools = [fetch]

            async def run_task(self, task, context):
                context.stage("reading", 10)
                text = await context.call(fetch, url=task)
                context.stage("summarizing", 60)
                return await context.model(f"Summarize: {text}")

        result = await Writer().run("https://example.com")

    Each call of a tool, each question to the model and to another agent is a step: made once, recorded, and not made
    again after a crash. The function itself is called again from its beginning after each step, see `TaskContext`.
    """

    name = ""
