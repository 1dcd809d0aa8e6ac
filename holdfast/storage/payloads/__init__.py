"""Encryption of payloads, and storage outside of Temporal for large ones."""
