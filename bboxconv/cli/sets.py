"""The commands that make data sets of others: united, split, sampled and filtered."""

from __future__ import annotations

from bboxconv.cli.reporting import app as app
