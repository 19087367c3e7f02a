"""One conversion by datumaro or supervision, run by the Python of its environment.

    python peerscript.py datumaro|supervision FROM TO FOLDER COCO_FILE OUT

FOLDER has the layout of FROM with its images; COCO_FILE is read instead where FROM is coco and a file is asked for.
"""

from __future__ import annotations

import sys
from pathlib import Path


def datumaro(source: str, target: str, folder: Path, out: Path) -> None:
    from datumaro import Dataset

    formats = {"coco": "coco_instances", "voc": "voc_detection", "yolo": "yolo"}
    Dataset.import_from(str(folder), formats[source]).export(str(out), formats[target], save_media=False)


def supervision(source: str, target: str, folder: Path, coco: Path, out: Path) -> None:
    from supervision import DetectionDataset

    if source == "coco":
        dataset = DetectionDataset.from_coco(str(folder / "images"), str(coco))
    elif source == "voc":
        dataset = DetectionDataset.from_pascal_voc(str(folder / "JPEGImages"), str(folder / "Annotations"))
    else:
        places = (folder / "images", folder / "labels", folder / "data.yaml")
        dataset = DetectionDataset.from_yolo(*map(str, places))
    if target == "coco":
        dataset.as_coco(annotations_path=str(out))
    elif target == "voc":
        dataset.as_pascal_voc(annotations_directory_path=str(out))
    else:
        dataset.as_yolo(annotations_directory_path=str(out / "labels"), data_yaml_path=str(out / "data.yaml"))


if __name__ == "__main__":
    tool, source, target, folder, coco, out = sys.argv[1:]
    if tool == "datumaro":
        datumaro(source, target, Path(folder), Path(out))
    else:
        supervision(source, target, Path(folder), Path(coco), Path(out))
