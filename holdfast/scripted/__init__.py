"""The scripted model: a server that plays a model by plain rules, where no model is configured."""
