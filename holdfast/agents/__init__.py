"""The agents that come with Holdfast, one file each; every module in here is searched for them."""
