"""The client: starts runs, follows them, controls them."""
