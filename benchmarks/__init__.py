"""Benchmarks of Holdfast; see README.md."""
