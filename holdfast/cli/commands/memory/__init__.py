"""Commands on the memory folders of agents."""
