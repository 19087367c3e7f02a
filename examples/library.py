"""The library in ten lines: python library.py"""

from pathlib import Path

import bboxconv

here = Path(__file__).parent
dataset = bboxconv.read(here / "sample/coco/instances_train.json")
print("classes:", [category.name for category in dataset.header.categories])
for batch in dataset:  # pyarrow record batches, one row per image
    print("batch:", batch.num_rows, "images with", batch.schema.names)

print(bboxconv.read(here / "sample/voc").to_pandas().head())  # one tidy row per box

report = bboxconv.convert(here / "sample/yolo", here / "build/library.jsonl", overwrite=True)
print("converted:", report.boxes, "boxes")

print("center:", bboxconv.convert_boxes([[10.0, 20.0, 50.0, 80.0]], "xyxy", "cxcywh"))
