"""Agents that a notebook runs: its cells are executed by a real kernel."""

from __future__ import annotations

import asyncio
import textwrap

import nbformat
import pytest
from nbclient import NotebookClient

from tests.support.cli import ROOT, TIMEOUT
from tests.support.cli_stack import CliStack

DEFINITION = """
    from holdfast import Agent, tool

    @tool(read_only=True)
    def stock(article: str) -> str:
        \"\"\"Pieces in stock.\"\"\"
        return f"twelve {article}"

    clerk = Agent(name="notebook-clerk", tools=[stock])
"""
REDEFINITION = """
    @tool(read_only=True)
    def stock(article: str) -> str:
        \"\"\"Pieces in stock.\"\"\"
        return f"no {article}"
"""
QUESTION = """
    (await clerk.run('What is in stock of "rope"?')).content.splitlines()[2]
"""


@pytest.fixture(scope="module")
def answers(cli_stack: CliStack, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a notebook shows: of the question, and of the question after the tool was defined again."""
    cells = [DEFINITION, QUESTION, REDEFINITION, QUESTION]
    code = [nbformat.v4.new_code_cell(textwrap.dedent(cell)) for cell in cells]  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.new_notebook(cells=code)  # type: ignore[no-untyped-call]
    folder = str(tmp_path_factory.mktemp("notebook"))
    client = NotebookClient(notebook, timeout=int(TIMEOUT), resources={"metadata": {"path": folder}})
    asyncio.run(client.async_execute(env=cli_stack.environment({"PYTHONPATH": str(ROOT)})))
    shown = [output.data["text/plain"] for cell in notebook.cells for output in cell.outputs if "data" in output]
    return [text.strip("'") for text in shown]


def test_notebook_executes(answers: list[str]) -> None:
    assert answers[0] == "twelve rope"


def test_notebook_redefinition_is_used(answers: list[str]) -> None:
    assert answers[1:] == ["no rope"]
