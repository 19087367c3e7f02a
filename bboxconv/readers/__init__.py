"""Shared readers: big JSON, lines of JSON, many small text or XML files. A format is mostly its declaration."""
