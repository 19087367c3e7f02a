"""What every process of a run loads, for those that are forked from one that has loaded it: import this module."""
# ruff: noqa: E402, F401

from __future__ import annotations

from bboxconv.workers import own_process

own_process()

import lxml.etree
import pyarrow.parquet

import bboxconv.flow
import bboxconv.readers.jsonelements
import bboxconv.readers.textfiles
import bboxconv.spool
