"""Commands, one file for each verb."""
