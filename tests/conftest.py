"""What all tests share."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("bboxconv", deadline=None)  # a busy machine is no failure
settings.load_profile("bboxconv")
