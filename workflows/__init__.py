"""Workflows: the deterministic code of runs. Side effects are in `activities`.

`registered` lists them. This module imports none: Temporal's sandbox loads a workflow and its packages anew for each
execution, and would load all the others with it.
"""
