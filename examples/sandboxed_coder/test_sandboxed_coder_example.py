"""Test of the example."""

import shutil

from sandboxed_coder import coder

from holdfast.testing import AgentServer, Called, ModelServer

CODE = "import os; print(6 * 7, os.environ.get('OPENAI_BASE_URL'))"


async def test_code_runs_confined_or_not_at_all(model: ModelServer, serve: AgentServer, called: Called) -> None:
    """The program sees nothing of the worker's environment; without a sandbox it does not run."""
    serve()
    model.call_tools(run_python={"code": CODE})
    model.say("Done.")
    assert (await coder.run("Compute.")).content == "Done."
    [call] = called("run_python")
    assert call.result is not None
    assert ("42 None" if shutil.which("bwrap") else "bubblewrap") in call.result
