"""The commands to see what is in data sets: statistics, and the difference of two."""
# ruff: noqa: PLC0415 - as in commands.py

from __future__ import annotations

from bboxconv.cli.checks import app as app
