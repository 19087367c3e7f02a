"""What every process of a run loads, for those that are forked from one that has loaded it: import this module."""

from __future__ import annotations

import lxml.etree  # noqa: F401
import pyarrow.parquet  # noqa: F401

import bboxconv.flow
import bboxconv.readers.jsonelements
import bboxconv.readers.textfiles
import bboxconv.spool  # noqa: F401
from bboxconv.workers import leave_pandas_out

leave_pandas_out()
