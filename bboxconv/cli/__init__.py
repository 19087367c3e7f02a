"""The command line: commands, flags, help, completion, what a run prints."""
