"""The formats: one module or package each, declared as entry points of the group `bboxconv.formats`."""
