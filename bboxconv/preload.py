"""What every process of a run loads, for those that are forked from one that has loaded it: import this module."""
# ruff: noqa: E402, F401

from __future__ import annotations

import gc

gc.disable()  # nothing that is loaded goes away, and tasks run without it

from bboxconv.workers import own_process

own_process()

import numpy.ma  # which pyarrow loads with the first array that it is given

import bboxconv.flow
import bboxconv.readers.jsonelements
import bboxconv.readers.textfiles

gc.freeze()  # workers share what is loaded
