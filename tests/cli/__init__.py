"""The command line as its users have it."""
