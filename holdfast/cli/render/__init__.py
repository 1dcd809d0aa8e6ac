"""Rendering of what commands print."""
