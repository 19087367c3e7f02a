"""The library in ten lines. Run it in this folder: python library.py"""

from pathlib import Path

import bboxconv

dataset = bboxconv.read("sample/coco/instances_train.json")
print("classes:", [category.name for category in dataset.header.categories])
for batch in dataset:  # pyarrow record batches, one row per image
    print("batch:", batch.num_rows, "images with", batch.schema.names)

print(bboxconv.read("sample/voc").to_pandas().head())  # one tidy row per box

Path("build").mkdir(exist_ok=True)
print("converted:", bboxconv.convert("sample/yolo", "build/library.jsonl", overwrite=True).boxes, "boxes")

print("center:", bboxconv.convert_boxes([[10.0, 20.0, 50.0, 80.0]], "xyxy", "cxcywh"))
