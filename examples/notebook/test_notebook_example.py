"""Test of the example."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

from holdfast.testing import AgentServer, ModelServer

NOTEBOOK = Path(__file__).with_name("stock.ipynb")


async def test_the_notebook_executes(model: ModelServer, serve: AgentServer) -> None:
    """The last cell prints the answer."""
    serve()
    model.call_tools(stock={"article": "rope"})
    model.say("There are 12.")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}})
    await client.async_execute()
    [shown] = notebook.cells[-1].outputs
    assert shown["text"] == "There are 12.\n"
