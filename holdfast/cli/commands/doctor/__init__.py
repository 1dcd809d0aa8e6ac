"""Commands that compare the mirror with history."""
