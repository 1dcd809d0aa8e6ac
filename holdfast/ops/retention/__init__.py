"""Deletion of old runs from the mirror."""
