"""Folders that are kept by content: read, recorded in the store, and restored from it."""
