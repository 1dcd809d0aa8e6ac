"""`AgentRun`: the workflow of a run."""
