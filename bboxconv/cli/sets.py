"""The commands that make data sets of others: united, split, sampled and filtered."""
# ruff: noqa: PLC0415 - as in commands.py

from __future__ import annotations

from bboxconv.cli.pictures import app as app
