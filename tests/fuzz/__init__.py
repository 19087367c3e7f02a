"""Fuzzing: its targets, seeds and finds."""
