"""The scripted model: a server that answers by fixed rules if no model is configured."""
