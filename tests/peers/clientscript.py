"""What another tool sees in a data set, run by the Python that has the tool.

    python clientscript.py CLIENT FORMAT FOLDER [SPLIT...]

prints a JSON object with a view for each split, or one of the whole under an empty name where no split is named:
`classes`, the names in the order of their numbers, or null where the tool has none, and `images`, a list of [file
name, [width, height] or null, boxes]. A box is [class, x1, y1, x2, y2, crowd], crowd null where the tool does not know.
FOLDER holds what bboxconv wrote, and the pictures where the tools want to have them. Nothing of bboxconv is imported.
"""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
View = dict[str, Any]
PICTURES = {".jpg", ".jpeg", ".png"}


def view(images: Iterable[list[Any]], classes: list[str] | None = None) -> View:
    return {"classes": classes, "images": list(images)}


def instances(folder: Path, split: str) -> Path:
    return folder / "annotations" / f"instances_{split}.json"


def pycocotools(form: str, folder: Path, split: str) -> View:
    from pycocotools.coco import COCO

    coco = COCO(str(instances(folder, split)))
    names = {number: category["name"] for number, category in coco.cats.items()}

    def images() -> Iterator[list[Any]]:
        for number, image in coco.imgs.items():
            boxes = []
            for a in coco.loadAnns(coco.getAnnIds(imgIds=[number])):
                x, y, w, h = a["bbox"]
                boxes.append([names[a["category_id"]], x, y, x + w, y + h, bool(a["iscrowd"])])
            yield [image["file_name"], [image["width"], image["height"]], boxes]

    return view(images(), [names[number] for number in sorted(coco.getCatIds())])


def supervision(form: str, folder: Path, split: str) -> View:
    from supervision import DetectionDataset

    if form == "coco":
        pictures = folder / "images"
        data = DetectionDataset.from_coco(str(pictures), str(instances(folder, split)))
    elif form == "voc":
        pictures = folder / "JPEGImages"
        data = DetectionDataset.from_pascal_voc(str(pictures), str(folder / "Annotations"))
    else:
        pictures = folder / "images" / split
        places = (pictures, folder / "labels" / split, folder / "data.yaml")
        data = DetectionDataset.from_yolo(*map(str, places))

    def images() -> Iterator[list[Any]]:
        for path, found in data.annotations.items():
            rows = zip(found.class_id, found.xyxy.tolist(), strict=True) if len(found) else ()
            boxes = [[data.classes[number], *box, None] for number, box in rows]
            yield [Path(path).relative_to(pictures).as_posix(), None, boxes]

    return view(images(), data.classes)


def labelformat(form: str, folder: Path, split: str) -> View:
    from labelformat import formats

    if form == "coco":
        reader = formats.COCOObjectDetectionInput(input_file=instances(folder, split))
    elif form == "voc":
        names = ",".join((folder / "classes.txt").read_text(encoding="utf-8").splitlines())
        reader = formats.PascalVOCObjectDetectionInput(input_folder=folder / "Annotations", category_names=names)
    else:
        reader = formats.YOLOv8ObjectDetectionInput(input_file=folder / "data.yaml", input_split=split)

    def images() -> Iterator[list[Any]]:
        for label in reader.get_labels():
            corners = ((o.category.name, o.box) for o in label.objects)
            boxes = [[name, box.xmin, box.ymin, box.xmax, box.ymax, None] for name, box in corners]
            yield [label.image.filename, [label.image.width, label.image.height], boxes]

    return view(images(), [category.name for category in sorted(reader.get_categories(), key=lambda c: c.id)])


def globox(form: str, folder: Path, split: str) -> View:
    from globox import Annotation, AnnotationSet
    from globox.image_utils import get_image_size

    if form == "coco":
        data = AnnotationSet.from_coco(instances(folder, split))
    elif form == "voc":
        data = AnnotationSet.from_pascal_voc(folder / "Annotations", recursive=True)
    else:  # file by file: its reader of folders wants one extension for all pictures
        data = AnnotationSet()
        pictures = folder / "images" / split
        for path in sorted(path for path in pictures.rglob("*") if path.suffix.lower() in PICTURES):
            name = path.relative_to(pictures)
            labels = (folder / "labels" / split / name).with_suffix(".txt")
            data.add(Annotation.from_yolo_v5(labels, image_size=get_image_size(path), image_id=name.as_posix()))
    return view([a.image_id, list(a.image_size), [[b.label, *b.ltrb, None] for b in a.boxes]] for a in data)


def datumaro(form: str, folder: Path, split: str) -> View:
    from datumaro import AnnotationType, Dataset

    if form == "voc":  # without this file it knows the twenty classes of the challenge alone
        names = (folder / "classes.txt").read_text(encoding="utf-8").splitlines()
        (folder / "labelmap.txt").write_text("".join(f"{name}:::\n" for name in names), encoding="utf-8")
    formats = {"coco": "coco_instances", "voc": "voc_detection", "yolo": "yolo"}
    data = Dataset.import_from(str(folder), formats[form])
    classes = [label.name for label in data.categories()[AnnotationType.label]]

    def images() -> Iterator[list[Any]]:
        for item in data.get_subset(split):
            height, width = item.media.size
            boxes = []
            for a in item.annotations:
                if a.type is AnnotationType.bbox:  # not the polygons and masks, which it has beside their boxes
                    x, y, w, h = a.get_bbox()
                    boxes.append([classes[a.label], x, y, x + w, y + h, a.attributes.get("is_crowd")])
            yield [item.id, [width, height], boxes]

    return view(images(), classes)


def table(rows: Iterable[Row], form: str, split: str) -> View:
    """The view of the rows of a Parquet file: one for each image with a list of objects, or one for each box."""
    found: dict[str, list[Any]] = {}
    for row in rows:
        if row["split"] != split:
            continue
        image = found.setdefault(row["file_name"], [row["file_name"], [row["width"], row["height"]], []])
        if form == "parquet":
            boxes = [(str(o["category"]), *map(float, o["bbox"]), o["iscrowd"]) for o in row["objects"]]
        else:  # pandas has NaN for null
            boxes = [tuple(row[key] for key in ("category", "x", "y", "w", "h", "iscrowd"))] if row["object"] else []
        image[2] += [[name, x, y, x + w, y + h, crowd] for name, x, y, w, h, crowd in boxes]
    return view(found.values())


def pandas(form: str, folder: Path, split: str) -> View:
    import pandas as pd

    frame = pd.read_parquet(folder / "boxes.parquet").astype(object)
    return table(frame.to_dict("records"), form, split)


def polars(form: str, folder: Path, split: str) -> View:
    import polars as pl

    return table(pl.read_parquet(folder / "boxes.parquet").to_dicts(), form, split)


def duckdb(form: str, folder: Path, split: str) -> View:
    import duckdb as db

    result = db.execute("select * from read_parquet(?)", [str(folder / "boxes.parquet")])
    names = [column[0] for column in result.description]
    return table((dict(zip(names, row, strict=True)) for row in result.fetchall()), form, split)


# datasets: comes with the format hf. torch's DataLoader: comes with bboxconv.minibatches.
CLIENTS: Mapping[str, Callable[[str, Path, str], View]] = {
    read.__name__: read for read in (pycocotools, supervision, labelformat, globox, datumaro, pandas, polars, duckdb)
}


if __name__ == "__main__":
    client, form, folder, *splits = sys.argv[1:]
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        found = {split: CLIENTS[client](form, Path(folder), split) for split in splits or [""]}
    json.dump(found, sys.stdout)
