"""Replays of histories on the workflow code of this process, and the first difference that they find."""
