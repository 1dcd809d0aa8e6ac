"""The shipped agent that plays a person, with the scripted model."""

from __future__ import annotations

import pytest

from holdfast import AgentDefinitionError, Persona
from holdfast.agents.shipped.persona import persona
from holdfast.models import SCRIPTED_MARK
from holdfast.scripted.model import respond
from tests.support.lab import Lab

FACTS = ["You buy rope for a shipyard.", "You always pay late.", "Your name is Meyer."]


async def test_a_persona_tells_its_facts(lab: Lab) -> None:
    """A person says what fits what was asked, each fact once, and then nothing new; the script says that it is one."""
    lab.server.respond = respond
    meyer = Persona(name="meyer", facts=FACTS)
    async with lab.worker(meyer, max_cached_workflows=100):
        session = lab.holdfast.session(f"talk-{lab.settings.temporal_task_queue}", meyer)
        said = [
            (await session.ask(question)).content
            for question in ("When do you pay?", "What is your name?", "And what do you buy?", "Anything else?")
        ]
        await session.run.cancel()
    told = [next((fact for fact in FACTS if fact in reply), None) for reply in said]
    assert told == [FACTS[1], FACTS[2], FACTS[0], None]
    assert all(SCRIPTED_MARK in reply for reply in said)


async def test_the_registered_persona_is_told_its_facts(lab: Lab) -> None:
    """The agent without facts of its own takes those of the first message, and asks for them if there are none."""
    lab.server.respond = respond
    async with lab.worker(persona, max_cached_workflows=100):
        told = await lab.holdfast.run("persona", "You are:\n- a buyer of rope\n- always late\n\nWhy are you late?")
        asked = await lab.holdfast.run("persona", "Good day.")
    assert told.content.startswith("always late")
    assert asked.content.startswith("Whom shall I play?")


def test_facts_are_in_the_prompt_and_checked() -> None:
    """Each fact is one line of the system prompt, behind the instructions; what is not a fact is refused."""
    agent = Persona(name="meyer", facts=["You buy\nrope."], system_prompt="Answer in German.", model="test")
    assert agent.system_prompt == "Answer in German.\n\n# What is true of you\n- You buy rope.\n"
    assert (agent.name, agent.model, agent.facts) == ("meyer", "test", ("You buy rope.",))
    for facts in ([], "You buy rope.", [""], [7], ["x" * 2_001], ["x"] * 201):
        with pytest.raises(AgentDefinitionError, match="not accepted"):
            Persona(facts=facts)  # type: ignore[arg-type]
