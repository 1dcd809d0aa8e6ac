"""The shipped agents that take parts of yours, as a program defines and runs them itself."""

from __future__ import annotations

from holdfast.agents.shipped import frontend_developer, persona
from holdfast.client.agent import Agent


class FrontendDeveloper(frontend_developer.FrontendDeveloper, Agent):
    """Writes a web page in stages, each with a checkpoint, and deploys it through a sandbox tool.

        developer = FrontendDeveloper(sandbox_tool=PreviewServer())
        result = await developer.run("A page for a rope shop")

    The stages are `analyzing_requirements` (10%), `generating_components` (30%), `building_ui` (60%), `deploying` (90%)
    and `completed` (100%).

    Args:
        sandbox_tool: any object whose `run_async` takes `{"files": {path: text}, "commands": ["serve"]}` and returns
            the address of the page. Without one, runs fail with "Sandbox tool required" before the model is asked.
        options: of `Agent`, such as `model`.

    Raises:
        AgentDefinitionError: the sandbox tool has no `run_async`, or an option is not accepted.
    """

    name = frontend_developer.FrontendDeveloper.name


class Persona(persona.Persona, Agent):
    """Plays a person: for rehearsals, for tests of other agents, and for conversations as training data.

        meyer = Persona(name="meyer", facts=["You buy rope for a shipyard.", "You pay late."])
        answer = await meyer.chat("What can I do for you?")

    Args:
        facts: what is true of the person, one sentence each, at most 200; `None` means that the first message has them.
        options: of `Agent`, such as `name` and `model`; `system_prompt` replaces the instructions before the facts.

    Raises:
        AgentDefinitionError: a fact is blank or too long, there are too many, or an option is not accepted.
    """

    name = persona.Persona.name
