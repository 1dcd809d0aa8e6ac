"""Connecting to Temporal, and reading what it has recorded."""
