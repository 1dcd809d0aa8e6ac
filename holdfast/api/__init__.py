"""HTTP applications."""
