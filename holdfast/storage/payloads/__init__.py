"""Payloads that are too large for Temporal or too private for it: stored apart, encrypted."""
