"""Measures what Holdfast costs; see README.md."""
