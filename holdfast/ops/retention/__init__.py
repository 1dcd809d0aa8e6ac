"""Deleting old runs from the mirror."""
