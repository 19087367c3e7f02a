"""The commands to see what is in data sets: statistics, and the difference of two."""

from __future__ import annotations

from bboxconv.cli.checks import app as app
