"""The agents that come with Holdfast, one file each."""
