"""The commands that draw: boxes on images, and a page to look at in a browser."""

from __future__ import annotations

from bboxconv.cli.seeing import app as app
