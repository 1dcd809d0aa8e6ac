"""Traces and metrics of a worker; both are off unless settings turn them on."""
