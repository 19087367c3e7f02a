"""Hugging Face datasets: what is written to the byte, what is found elsewhere and read, every refusal."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from helpers import dataset

import bboxconv
from bboxconv import pipeline
from bboxconv.errors import DataError, UsageError
from bboxconv.formats.hf import shards
from bboxconv.formats.hf.features import class_names
from bboxconv.formats.hf.tree import split_of
from bboxconv.report import Report
from bboxconv.request import Request
from bboxconv.schema import Category, Dataset

SAMPLE = Path(__file__).parents[2] / "examples" / "sample"
GOLDEN = Path(__file__).parent / "golden" / "hf"
PICTURES = SAMPLE / "yolo" / "images" / "train"


def two_splits() -> Dataset:
    """Three images, of which one has no box, with two classes."""
    first = [
        {"id": 4, "category": 1, "bbox": [10.5, 20, 30, 40], "iscrowd": True},
        {"category": 0, "bbox": [1, 2, 3, 4.25], "area": 9.5, "segmentation": "[[1,2,4,2,4,6]]"},
    ]
    return dataset(
        [
            {"id": 7, "file_name": "a b.jpg", "width": 640, "height": 480, "split": "train", "objects": first},
            {"file_name": "sub/b.png", "width": 64, "height": 48, "split": "train", "extra": '{"k":"ü"}'},
            {
                "id": 3,
                "file_name": "c.jpg",
                "width": 9,
                "height": 8,
                "split": "val",
                "objects": [{"category": 1, "bbox": [0, 0, 9, 8]}],
            },
        ],
        ("cat", Category("traffic | light")),
    )


def write(data: Dataset, out: Path, *, batch_size: int = 4096, **options: str) -> Report:
    """Write a data set as hf, in one process."""
    return pipeline.run(Request((), str(out), to="hf", out=options, batch_size=batch_size, jobs=1), dataset=data)


def rows(path: Path, **words: object) -> list[dict[str, object]]:
    """What is read, as plain types."""
    return bboxconv.read(path, **words).to_table().to_pylist()  # type: ignore[arg-type]


def boxes(path: Path, **words: object) -> list[tuple[str | None, str | None, list[tuple[str | None, list[float]]]]]:
    """The split and name of each image, and the class and box of its objects."""
    data = bboxconv.read(path, **words)  # type: ignore[arg-type]
    names = [category.name for category in data.header.categories]
    return [
        (
            image["split"],
            image["file_name"],
            [(None if o["category"] is None else names[o["category"]], o["bbox"]) for o in image["objects"] or []],
        )
        for image in data.to_table().to_pylist()
    ]


def parquet(path: Path, table: Sequence[Mapping[str, object]], features: object = None, **words: object) -> Path:
    """A Parquet file of rows, with features in the metadata of its schema."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = pa.Table.from_pylist(list(table))
    if features is not None:
        made = made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(made, path, **words)
    return path


def refused(path: Path, code: str, **words: object) -> DataError:
    """The error of a source that cannot be read whole."""
    with pytest.raises(DataError) as error:
        bboxconv.convert(path, path.parent / "refused.jsonl", from_="hf", jobs=1, **words)  # type: ignore[arg-type]
    assert code in [found.code for found in error.value.diagnostics]
    return error.value


class TestWriting:
    """What is written."""

    @pytest.mark.parametrize("layout", ["parquet", "imagefolder"])
    def test_card_and_metadata_are_the_golden_ones(self, layout: str, tmp_path: Path) -> None:
        """The card and the lines of metadata are, to the byte, those that were checked by hand."""
        write(two_splits(), tmp_path / "o", layout=layout, **({} if layout == "parquet" else {"metadata": "jsonl"}))
        for name in ("README.md", "train/metadata.jsonl", "validation/metadata.jsonl"):
            golden = GOLDEN / layout / name
            if golden.exists():
                text = (tmp_path / "o" / name).read_text(encoding="utf-8")
                if name == "README.md":  # sizes are those of the Parquet library's version
                    text = "".join(line for line in text.splitlines(True) if "_size:" not in line)
                    text = "".join(line for line in text.splitlines(True) if "num_bytes:" not in line)
                assert text == golden.read_text(encoding="utf-8")
        assert (GOLDEN / layout / "README.md").exists()

    def test_shards_have_columns_and_features(self, tmp_path: Path) -> None:
        """A shard has the Arrow types that `datasets` stores these features as, and no column without a value."""
        write(two_splits(), tmp_path / "o")
        names = sorted(path.name for path in (tmp_path / "o" / "data").iterdir())
        assert names == ["train-00000-of-00001.parquet", "validation-00000-of-00001.parquet"]
        kind = pq.read_schema(tmp_path / "o" / "data" / names[1])
        assert kind.field("image").type == pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        assert kind.field("objects").type.field("bbox").type == pa.list_(pa.list_(pa.float64(), 4))
        assert kind.names == ["image", "image_id", "width", "height", "extra", "objects"]
        assert [field.name for field in kind.field("objects").type] == [
            *("id", "area", "bbox", "category", "iscrowd", "segmentation")
        ]
        features = json.loads(kind.metadata[b"huggingface"])["info"]["features"]
        assert features["image"] == {"_type": "Image"}
        assert features["objects"]["category"] == {
            "feature": {"names": ["cat", "traffic | light"], "_type": "ClassLabel"},
            "_type": "Sequence",
        }
        assert features["objects"]["bbox"] == {
            "feature": {"feature": {"dtype": "float64", "_type": "Value"}, "length": 4, "_type": "Sequence"},
            "_type": "Sequence",
        }

    def test_rows_are_filled_and_counted(self, tmp_path: Path) -> None:
        """Missing ids count on behind the largest, areas are w times h, who is no crowd is said not to be one."""
        report = write(two_splits(), tmp_path / "o")
        read = pq.read_table(tmp_path / "o" / "data").to_pylist()
        assert [row["image_id"] for row in read] == [7, 8, 3]
        assert [row["objects"]["id"] for row in read] == [[4, 5], [], [6]]
        assert [row["objects"]["area"] for row in read] == [[1200.0, 9.5], [], [72.0]]
        assert [row["objects"]["iscrowd"] for row in read] == [[True, False], [], [False]]
        assert dict(report.filled) == {"image.id": 1, "object.id": 2, "object.area": 2, "object.iscrowd": 2}

    def test_shards_are_cut_by_size(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A shard that is large enough is followed by the next, and their names say how many there are."""
        monkeypatch.setattr(shards, "SHARD", 3000)
        images = [{"file_name": f"{n}.jpg", "width": 9, "height": 9} for n in range(2000)]
        write(dataset(images), tmp_path / "o", batch_size=100)
        names = sorted(path.name for path in (tmp_path / "o" / "data").iterdir())
        assert len(names) > 2
        assert names == [f"train-{n:05}-of-{len(names):05}.parquet" for n in range(len(names))]
        assert [row[1] for row in boxes(tmp_path / "o")] == [image["file_name"] for image in images]

    def test_images_are_embedded(self, tmp_path: Path) -> None:
        """The bytes of the images are in the column, in row groups of 100 images at most, and their columns are not
        packed again."""
        report = bboxconv.convert(SAMPLE / "yolo", tmp_path / "o", to="hf", out={"images": "embed"}, verify=True)
        assert report.images == 8
        file = tmp_path / "o" / "data" / "train-00000-of-00001.parquet"
        for row in pq.read_table(file).to_pylist():
            assert row["image"]["bytes"] == (PICTURES / row["image"]["path"]).read_bytes()
        group = pq.read_metadata(file).row_group(0)
        packing = {group.column(n).path_in_schema: group.column(n).compression for n in range(group.num_columns)}
        assert packing["image.bytes"] == "UNCOMPRESSED"
        assert packing["objects.bbox.list.element.list.element"] == "ZSTD"

    def test_many_images_are_embedded_some_at_a_time(self, tmp_path: Path) -> None:
        """Row groups with images have 100 rows, whatever the batches."""
        (tmp_path / "in").mkdir()
        images = []
        for number in range(230):
            (tmp_path / "in" / f"{number}.png").symlink_to(PICTURES / "stall_a.png")
            images.append({"file_name": f"{number}.png", "width": 64, "height": 48})
        request = Request((), str(tmp_path / "o"), to="hf", out={"images": "embed"}, images=tmp_path / "in")
        pipeline.run(request, dataset=dataset(images))
        footer = pq.read_metadata(tmp_path / "o" / "data" / "train-00000-of-00001.parquet")
        assert [footer.row_group(n).num_rows for n in range(footer.num_row_groups)] == [100, 100, 30]

    @pytest.mark.parametrize("how", ["copy", "link"])
    def test_an_image_folder_has_its_images(self, how: str, tmp_path: Path) -> None:
        """Images stand beside the metadata under the names that it has, as copies or links."""
        out = {"layout": "imagefolder", "images": how}
        bboxconv.convert(SAMPLE / "yolo", tmp_path / "o", to="hf", out=out, verify=True)
        for split, count in (("train", 6), ("validation", 2)):
            folder = tmp_path / "o" / split
            names = [row[1] for row in boxes(tmp_path / "o") if row[0] == {"validation": "val"}.get(split, split)]
            assert len(names) == count
            for name in names:
                file = folder / str(name)
                assert file.is_symlink() == (how == "link")
                assert file.read_bytes()[:3] in (b"\x89PN", b"\xff\xd8\xff")

    def test_an_image_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        """An image that is in no folder is a warning, and its row has no bytes; a name that leads out of the folder
        embeds nothing."""
        (tmp_path / "secret.png").write_bytes(b"secret")
        (tmp_path / "in").mkdir()
        images = [{"file_name": name, "width": 9, "height": 9} for name in ("gone.png", "../secret.png")]
        request = Request((), str(tmp_path / "o"), to="hf", out={"images": "embed"}, images=tmp_path / "in")
        report = pipeline.run(request, dataset=dataset(images))
        assert [(found.code, found.count) for found in report.findings] == [("image-missing", 2)]
        read = pq.read_table(tmp_path / "o" / "data").column("image").to_pylist()
        assert read == [{"bytes": None, "path": "gone.png"}, {"bytes": None, "path": "../secret.png"}]

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            ({"images": "link"}, "option-conflict"),
            ({"images": "embed", "layout": "imagefolder"}, "option-conflict"),
            ({"images": "embed"}, "images-missing"),
        ],
    )
    def test_options_that_do_not_go_together(self, options: dict[str, str], code: str, tmp_path: Path) -> None:
        """Images in a way that the layout does not have, or from nowhere, are refused, and nothing is written."""
        with pytest.raises(UsageError) as error:
            write(two_splits(), tmp_path / "o", **options)
        assert [found.code for found in error.value.diagnostics] == [code]
        assert not (tmp_path / "o").exists()

    def test_a_name_twice_in_an_image_folder_is_a_fault(self, tmp_path: Path) -> None:
        """Two images of one split that would be one file are refused, and both are named; in two splits they are
        not."""
        images = [{"file_name": "a.jpg", "width": 9, "height": 9, "split": split} for split in ("train", "val")]
        write(dataset(images), tmp_path / "o", layout="imagefolder")
        with pytest.raises(DataError, match=r"file-clash.*\n.*a\.jpg and a\.jpg"):
            write(dataset([*images, images[0]]), tmp_path / "p", layout="imagefolder")

    @pytest.mark.parametrize("split", ["a b", "train/x", "", "a-b"])
    def test_a_split_that_the_hub_cannot_name_is_refused(self, split: str, tmp_path: Path) -> None:
        """A split is letters, digits, _ and dots between them."""
        with pytest.raises(DataError, match="bad-split-name"):
            write(dataset([{"file_name": "a.jpg", "split": split}]), tmp_path / "o")

    def test_a_faulty_line_changes_no_other(self, tmp_path: Path) -> None:
        """Beside a line of other types, images with an empty list are background as they were, and those without one
        are images that nobody looked at."""
        lines = [
            '{"file_name":"a.jpg","objects":[{"bbox":[1,2,3,4],"category":0}]}',
            '{"file_name":"b.jpg","objects":[]}',
            '{"file_name":"c.jpg","objects":null}',
            '{"file_name":"d.jpg"}',
        ]
        path = tmp_path / "metadata.jsonl"
        path.write_text("\n".join(lines))
        sound = [row["objects"] is None for row in rows(path)]
        assert sound == [False, False, True, True]
        path.write_text("\n".join([*lines, '{"file_name":"e.jpg","objects":[{"bbox":["1",2,3,4],"category":0}]}']))
        out = tmp_path / "o.jsonl"
        bboxconv.convert(path, out, on_error="skip", rejects=tmp_path / "r.jsonl", unannotated="keep")
        assert [row["objects"] is None for row in rows(out)] == sound

    def test_the_folder_of_a_split_has_the_classes_of_all(self, tmp_path: Path) -> None:
        """Where a folder of images alone is read, the card above it names the classes."""
        write(two_splits(), tmp_path / "o", layout="imagefolder")
        assert boxes(tmp_path / "o" / "validation") == [(None, "c.jpg", [("traffic | light", [0, 0, 9, 8])])]

    def test_images_without_split_are_in_train(self, tmp_path: Path) -> None:
        """They are counted as filled, and where others have a split a warning says so."""
        report = write(dataset([{"file_name": "a.jpg"}, {"file_name": "b.jpg", "split": "test"}]), tmp_path / "o")
        assert report.filled["image.split"] == 1
        assert [found.code for found in report.findings] == ["images-without-split"]
        assert [row[:2] for row in boxes(tmp_path / "o")] == [("train", "a.jpg"), ("test", "b.jpg")]

    def test_classes_of_one_name_become_one(self, tmp_path: Path) -> None:
        """A ClassLabel has each name once; a warning names it."""
        objects = [{"category": n, "bbox": [1, 2, 3, 4]} for n in range(3)]
        report = write(dataset([{"file_name": "a.jpg", "objects": objects}], ("cat", "dog", "cat")), tmp_path / "o")
        assert [(found.code, found.where) for found in report.findings] == [("duplicate-class", ("README.md: cat",))]
        assert [name for name, _ in boxes(tmp_path / "o")[0][2]] == ["cat", "dog", "cat"]

    def test_metadata_is_parquet_where_json_leaves_types_open(self, tmp_path: Path) -> None:
        """Where one split alone has a field, types of JSON lines would differ between splits: a note says so, and the
        metadata is Parquet with its features."""
        report = write(two_splits(), tmp_path / "o", layout="imagefolder")
        assert [(found.code, found.severity) for found in report.findings] == [("metadata-types-differ", "note")]
        assert report.findings[0].where == ("validation/metadata.parquet: extra, objects.segmentation",)
        kind = pq.read_schema(tmp_path / "o" / "train" / "metadata.parquet")
        features = json.loads(kind.metadata[b"huggingface"])["info"]["features"]
        assert class_names(features, ("objects", "category")) == ("cat", "traffic | light")
        assert kind.names[0] == "file_name"
        assert rows(tmp_path / "o") == rows_of_both(tmp_path)

    def test_floats_are_written_as_floats(self, tmp_path: Path) -> None:
        """In JSON every coordinate has a point, so that all are of one type."""
        data = dataset([{"file_name": "a.jpg", "objects": [{"category": 0, "bbox": [1, -2, 3e20, 4.5]}]}])
        write(data, tmp_path / "o", layout="imagefolder")
        line = (tmp_path / "o" / "train" / "metadata.jsonl").read_text()
        assert '"bbox":[[1.0,-2.0,3e+20,4.5]]' in line


def rows_of_both(tmp_path: Path) -> list[dict[str, object]]:
    """What the other form of the same data set gives."""
    write(two_splits(), tmp_path / "jsonl", layout="imagefolder", metadata="jsonl")
    return rows(tmp_path / "jsonl")


LABELS = {"objects": {"categories": {"feature": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "_type": "List"}}}


class TestReading:
    """What others write."""

    def test_struct_of_lists_with_embedded_images(self, tmp_path: Path) -> None:
        """`categories` numbers the names of the features; sizes, and names where there are none, come from the embedded
        images."""
        data = {name: (PICTURES / name).read_bytes() for name in ("stall_a.png", "stall_b.jpg")}
        table = [
            {
                "image": {"bytes": data["stall_a.png"], "path": None},
                "objects": {"bbox": [[1, 2, 3, 4]], "categories": [1]},
            },
            {"image": {"bytes": data["stall_b.jpg"], "path": "b.jpg"}, "objects": {"bbox": [], "categories": []}},
        ]
        path = parquet(tmp_path / "data" / "test-00000-of-00001-1a2b3c.parquet", table, LABELS)
        assert boxes(tmp_path) == [
            ("test", "test-00000-of-00001-1a2b3c-0.png", [("dog", [1, 2, 3, 4])]),
            ("test", "b.jpg", []),
        ]
        assert [(row["width"], row["height"]) for row in rows(tmp_path)] == [(64, 48), (80, 60)]
        assert bboxconv.read(path).header.source == "hf"

    @pytest.mark.parametrize(
        ("features", "names"),
        [
            ({"objects": [{"category": {"names": ["x", "y"], "_type": "ClassLabel"}}]}, ("x", "y")),
            ({"objects": {"feature": {"category": {"names": ["x"], "_type": "ClassLabel"}}, "_type": "List"}}, ("x",)),
            (
                {
                    "objects": {
                        "feature": {"category": {"names": ["x"], "num_classes": 1, "_type": "ClassLabel"}},
                        "length": -1,
                        "_type": "Sequence",
                    }
                },
                ("x",),
            ),
            (
                yaml.safe_load(
                    "[{name: objects, sequence: [{name: category, dtype: {class_label: {names: {'1': b, '0': a}}}}]}]"
                ),
                ("a", "b"),
            ),
            (
                yaml.safe_load("[{name: objects, struct: [{name: category, list: {class_label: {names: [a, b]}}}]}]"),
                ("a", "b"),
            ),
            ({"objects": {"category": {"dtype": "int64", "_type": "Value"}}}, None),
            (None, None),
            ("nonsense", None),
        ],
    )
    def test_names_in_every_spelling_of_features(self, features: object, names: object) -> None:
        """The names of a ClassLabel are found in features as versions of `datasets`, and cards, spell them."""
        assert class_names(features, ("objects", "category")) == names

    def test_list_of_structs_with_names(self, tmp_path: Path) -> None:
        """A list of structs with classes by name; fields that are not of the model are extra keys."""
        table = [
            {
                "image_id": 5,
                "file_name": "a.jpg",
                "width": 40,
                "height": 30,
                "objects": [
                    {"bbox": [1.5, 2, 3, 4], "category": "dog", "area": 12, "is_crowd": 1, "pose": "left"},
                    {"bbox": [5, 6, 7, 8], "category": "cat", "area": None, "is_crowd": 0, "pose": None},
                ],
                "licence": "CC0",
            },
            {"image_id": 6, "file_name": "b.jpg", "width": 0, "height": 30, "objects": None, "licence": None},
        ]
        parquet(tmp_path / "train.parquet", table)
        assert boxes(tmp_path) == [
            ("train", "a.jpg", [("dog", [1.5, 2, 3, 4]), ("cat", [5, 6, 7, 8])]),
            ("train", "b.jpg", []),
        ]
        first, second = rows(tmp_path)
        assert (first["id"], first["extra"], second["extra"]) == (5, '{"licence":"CC0"}', '{"width":0}')
        assert second["objects"] is None
        one, two = first["objects"]  # type: ignore[misc]
        assert (one["area"], one["iscrowd"], one["extra"]) == (12.0, True, '{"pose":"left"}')
        assert (two["area"], two["iscrowd"], two["extra"]) == (None, False, None)

    def test_lists_at_the_top_and_numbers_without_names(self, tmp_path: Path) -> None:
        """Lists beside each other in columns of their own; numbers that nothing names are names, or `--classes` has
        them."""
        path = parquet(tmp_path / "a.parquet", [{"file_name": "a.jpg", "bboxes": [[1, 2, 3, 4]] * 2, "labels": [7, 3]}])
        assert boxes(path) == [(None, "a.jpg", [("7", [1, 2, 3, 4]), ("3", [1, 2, 3, 4])])]
        header = bboxconv.read(path).header
        assert [(category.name, category.id) for category in header.categories] == [("3", 3), ("7", 7)]
        names = tmp_path / "names.txt"
        names.write_text("".join(f"n{number}\n" for number in range(8)))
        report = bboxconv.convert(path, tmp_path / "o.jsonl", from_="hf", classes=names)
        assert report.boxes == 2
        assert [name for name, _ in boxes(tmp_path / "o.jsonl")[0][2]] == ["n7", "n3"]

    @pytest.mark.parametrize("box", ["xyxy", "xywhn", "corner"])
    def test_boxes_of_another_format(self, box: str, tmp_path: Path) -> None:
        """`box` says what the four numbers are, which no such file does."""
        path = parquet(
            tmp_path / "a.parquet",
            [{"file_name": "a.jpg", "objects": {"bbox": [[0.25, 0.5, 0.75, 1]], "label": ["x"]}}],
        )
        header = bboxconv.read(path, in_={"box": box}).header
        assert header.box == bboxconv.BoxFormat.parse(box)
        assert header.switches["box"] == header.box.name
        with pytest.raises(UsageError, match="bad-option"):
            bboxconv.read(path, in_={"box": "xyxz"})

    def test_fractions_are_told(self, tmp_path: Path) -> None:
        """Where all boxes lie between 0 and 1 and nobody said what they are, a warning says how they are taken."""
        objects = {"bbox": [[0.25, 0.5, 0.5, 0.5]], "label": ["x"]}
        path = parquet(tmp_path / "a.parquet", [{"file_name": "a.jpg", "width": 8, "height": 8, "objects": objects}])
        report = bboxconv.convert(path, tmp_path / "o.jsonl")
        assert [(found.code, found.severity) for found in report.findings] == [("box-format-assumed", "warning")]
        report = bboxconv.convert(path, tmp_path / "o.json", in_={"box": "xywhn"})
        assert not report.findings
        assert boxes(tmp_path / "o.json")[0][2] == [("x", [2, 4, 4, 4])]

    def test_sizes_come_from_the_images_of_a_folder(self, tmp_path: Path) -> None:
        """An image folder without sizes has them in its images."""
        (tmp_path / "in" / "train").mkdir(parents=True)
        (tmp_path / "in" / "train" / "stall_a.png").symlink_to(PICTURES / "stall_a.png")
        line = {"file_name": "stall_a.png", "objects": {"bbox": [[8, 6, 48, 30]], "categories": [0]}}
        (tmp_path / "in" / "train" / "metadata.jsonl").write_text(json.dumps(line))
        bboxconv.convert(tmp_path / "in", tmp_path / "yolo", to="yolo")
        text = (tmp_path / "yolo" / "labels" / "train" / "stall_a.txt").read_text()
        assert text == "0 0.5 0.4375 0.75 0.625\n"

    def test_class_of_minus_one_is_none(self, tmp_path: Path) -> None:
        """A ClassLabel of -1 is how unlabelled data are stored."""
        path = parquet(tmp_path / "a.parquet", [{"objects": {"bbox": [[1, 2, 3, 4]], "categories": [-1]}}], LABELS)
        assert boxes(path) == [(None, None, [(None, [1, 2, 3, 4])])]

    def test_metadata_lines(self, tmp_path: Path) -> None:
        """metadata.jsonl of splits in folders, whose lines do not agree in their keys and types."""
        for split, lines in (
            ("train", [{"file_name": "a.jpg", "objects": {"bbox": [[1, 2, 3, 4]], "categories": [0]}}]),
            (
                "valid",
                [
                    {"file_name": "c.jpg", "objects": {"bbox": [], "categories": []}, "note": 1},
                    {"file_name": "d.jpg", "note": "text"},
                    {"file_name": "e/f.jpg", "objects": [{"bbox": [1.5, 2, 3, 4], "categories": 1}]},
                ],
            ),
        ):
            (tmp_path / split).mkdir()
            text = "\n".join(map(json.dumps, lines))
            (tmp_path / split / "metadata.jsonl").write_text(text)
        assert boxes(tmp_path) == [
            ("train", "a.jpg", [("0", [1, 2, 3, 4])]),
            ("val", "c.jpg", []),
            ("val", "d.jpg", []),
            ("val", "e/f.jpg", [("1", [1.5, 2, 3, 4])]),
        ]
        assert [row["objects"] is None for row in rows(tmp_path)] == [False, False, True, False]
        assert [row["extra"] for row in rows(tmp_path)] == [None, '{"note":1}', '{"note":"text"}', None]

    def test_a_card_names_files_and_classes(self, tmp_path: Path) -> None:
        """The files of the default configuration are read, each in the split that the card gives it, and classes are
        named as the card does."""
        row = {"file_name": "a.jpg", "objects": {"bbox": [[1, 2, 3, 4]], "category": [1]}}
        for name in ("one/x.parquet", "one/y.parquet", "two/x.parquet"):
            parquet(tmp_path / name, [row])
        card = (
            "---\nconfigs:\n- config_name: other\n  data_files: two/*.parquet\n- config_name: mine\n  default: true\n"
            "  data_files:\n  - split: test\n    path: one/x.parquet\n  - split: validation\n    path: [one/y*]\n"
            "dataset_info:\n- config_name: other\n  features: []\n- config_name: mine\n  features:\n"
            "  - name: objects\n    sequence:\n    - name: category\n      dtype:\n        class_label:\n"
            "          names:\n            '0': cat\n            '1': dog\n---\n# Title\n"
        )
        (tmp_path / "README.md").write_text(card)
        assert [(row[0], row[2][0][0]) for row in boxes(tmp_path)] == [("val", "dog"), ("test", "dog")]

    @pytest.mark.parametrize(
        ("name", "split"),
        [
            ("data/train-00000-of-00003.parquet", "train"),
            ("data/validation-00000-of-00001-0a1b.parquet", "val"),
            ("data/minival.v2-00000-of-00001.parquet", "minival.v2"),
            ("default/test/0000.parquet", "test"),
            ("my_dev_set.parquet", "val"),
            ("eval/metadata.jsonl", "val"),
            ("Training/metadata.jsonl", "train"),
            ("contest/latest.parquet", None),
            ("a.parquet", None),
        ],
    )
    def test_names_say_the_split(self, name: str, split: str | None) -> None:
        """A word of a file's name, or of its folders', says the split, as the hub takes it."""
        assert split_of(name) == split

    def test_a_stranger_keeps_what_we_wrote_apart(self, tmp_path: Path) -> None:
        """Formats of one suffix, or of one folder, are told from each other."""
        bboxconv.convert(SAMPLE / "coco", tmp_path / "b.parquet")
        bboxconv.convert(SAMPLE / "coco", tmp_path / "metadata.jsonl")
        bboxconv.convert(SAMPLE / "coco", tmp_path / "hf")
        bboxconv.convert(SAMPLE / "coco", tmp_path / "folder", to="huggingface", out={"layout": "imagefolder"})
        found = {
            name: bboxconv.read(path).header.source
            for name, path in {
                "parquet": tmp_path / "b.parquet",
                "jsonl": tmp_path / "metadata.jsonl",
                "coco": SAMPLE / "coco",
                "yolo": SAMPLE / "yolo",
                "voc": SAMPLE / "voc",
                "hf": tmp_path / "hf",
                "folder": tmp_path / "folder",
                "shard": tmp_path / "hf" / "data" / "train-00000-of-00001.parquet",
                "lines": next((tmp_path / "folder" / "train").iterdir()),
            }.items()
        }
        assert found == {
            "parquet": "coco",
            "jsonl": "coco",
            "coco": "coco",
            "yolo": "yolo",
            "voc": "voc",
            **dict.fromkeys(("hf", "folder", "shard", "lines"), "hf"),
        }


class TestFaults:
    """What is refused, and what is said of it."""

    def test_lists_of_different_lengths(self, tmp_path: Path) -> None:
        """An image whose lists do not fit each other is a fault that names file and row; the others are read."""
        good = {"bbox": [[1, 2, 3, 4]], "category": ["a"]}
        bad = {"bbox": [[1, 2, 3, 4]] * 3, "category": ["a", "a"]}
        table = [{"file_name": f"{n}", "objects": one} for n, one in ((1, good), (2, bad), (3, good))]
        path = parquet(tmp_path / "a.parquet", table)
        error = refused(path, "bad-row")
        assert str(error) == (
            "error[bad-row]: the lists of an image have different lengths\n"
            f"  {path}: row 1: bbox 3, category 2\n  hint: each list of objects has one value for each box"
        )
        report = bboxconv.convert(path, tmp_path / "o.jsonl", from_="hf", on_error="skip")
        assert (report.images, report.boxes, report.exit_code) == (2, 2, 3)

    def test_null_lists_say_nothing(self, tmp_path: Path) -> None:
        """A list that is null beside boxes has no value for any of them, and null objects are nobody's look."""
        table = [
            {"file_name": "a", "objects": {"bbox": [[1, 2, 3, 4]], "category": ["a"], "area": None}},
            {"file_name": "b", "objects": None},
            {"file_name": "c", "objects": {"bbox": [[5, 6, 7, 8]], "category": ["b"], "area": [2.5]}},
        ]
        path = parquet(tmp_path / "a.parquet", table)
        read = rows(path)
        assert [row["objects"] and row["objects"][0]["area"] for row in read] == [None, None, 2.5]  # type: ignore[index]
        assert [row["objects"] is None for row in read] == [False, True, False]

    def test_boxes_that_are_none(self, tmp_path: Path) -> None:
        """A box of three numbers and an unknown class are left out by themselves, with the place of the object."""
        objects = {"bbox": [[1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4]], "categories": [0, 5, 1]}
        path = parquet(tmp_path / "a.parquet", [{"file_name": "a", "objects": objects}], LABELS)
        text = str(refused(path, "bad-value"))
        assert f"{path}: row 0, objects[0]: [1, 2, 3]" in text
        assert f"{path}: row 0, objects[1]: 5" in text
        report = bboxconv.convert(path, tmp_path / "o.jsonl", from_="hf", on_error="skip")
        assert (report.boxes, dict(report.rejected_boxes)) == (1, {"bad-value": 1, "unknown-class": 1})

    def test_a_file_without_boxes(self, tmp_path: Path) -> None:
        """A Parquet file without a column of boxes is refused with its columns and what is looked for."""
        path = parquet(tmp_path / "a.parquet", [{"text": "x", "label": 1}])
        assert str(refused(path, "no-boxes-column")) == (
            "error[no-boxes-column]: the Parquet file has no column of boxes\n"
            f"  {path}: columns text, label\n"
            "  hint: looked for: `objects`, or another struct of lists or list of structs, with `bbox` and `category`"
        )

    @pytest.mark.parametrize(
        ("bbox", "category", "said"),
        [
            (["x"], ["a"], "boxes are string, and no lists of four numbers"),
            ([["1", "2", "3", "4"]], ["a"], "boxes are lists of string, and not of numbers"),
            ([[1, 2, 3, 4]], [["a"]], "classes, in category, are list<element: string>: numbers or names are read"),
            ([[1, 2, 3, 4]], 3, "classes, in category, are no list: numbers or names are read"),
        ],
    )
    def test_columns_of_another_type(self, bbox: object, category: object, said: str, tmp_path: Path) -> None:
        """Boxes and classes that are none are refused for the whole file, with the type that they have."""
        path = parquet(tmp_path / "a.parquet", [{"objects": {"bbox": bbox, "category": category}}])
        assert str(refused(path, "bad-value")) == f"error[bad-value]: {said}\n  {path}"

    def test_values_of_odd_types_are_kept(self, tmp_path: Path) -> None:
        """Dates and other values of an image are extra keys, as text where JSON has no such value."""
        row = {"objects": None, "when": datetime(2026, 3, 14, 8, 15), "price": Decimal("1.50")}
        table = pa.Table.from_pylist([{**row, "objects": {"bbox": [[1, 2, 3, 4]], "label": ["a"]}}, row])
        pq.write_table(table, tmp_path / "a.parquet")
        extra = json.loads(str(rows(tmp_path / "a.parquet")[0]["extra"]))
        assert extra == {"when": "2026-03-14 08:15:00.000000", "price": "1.50"}

    def test_bytes_that_are_no_image(self, tmp_path: Path) -> None:
        """Their size is unknown, which a warning says with file and row; the boxes are read."""
        table = [{"image": {"bytes": b"no image", "path": "a.jpg"}, "objects": {"bbox": [[1, 2, 3, 4]], "label": [0]}}]
        path = parquet(tmp_path / "a.parquet", table)
        report = bboxconv.convert(path, tmp_path / "o.jsonl", from_="hf")
        found = next(found for found in report.findings if found.code == "bad-image")
        assert (found.severity, found.where) == ("warning", (f"{path}: row 0",))
        assert report.boxes == 1

    def test_files_with_other_classes(self, tmp_path: Path) -> None:
        """Files of one folder whose features name classes differently are refused."""
        row = {"objects": {"bbox": [[1, 2, 3, 4]], "categories": [0]}}
        other = json.loads(json.dumps(LABELS).replace("cat", "fox", 2).replace("foxegories", "categories"))
        parquet(tmp_path / "train.parquet", [row], LABELS)
        parquet(tmp_path / "test.parquet", [row], other)
        assert "test.parquet" in str(refused(tmp_path, "header-differs"))

    def test_lines_that_are_none(self, tmp_path: Path) -> None:
        """A line that is no JSON, or holds a list of several kinds, is a fault with its number; the others are read."""
        lines = [
            '{"file_name": "a.jpg", "objects": {"bbox": [[1, 2, 3, 4]], "category": ["a"]}}',
            '{"file_name": "b.jpg",',
            "",
            '{"file_name": "c.jpg", "objects": {"bbox": [[1, "x", 3, 4]], "category": ["a"]}}',
            '{"file_name": "d.jpg", "objects": {"bbox": [[1, 2, 3, 4]], "category": ["a", "b"]}}',
        ]
        path = tmp_path / "metadata.jsonl"
        path.write_text("\n".join(lines))
        error = refused(path, "bad-json")
        assert [(found.code, found.where[0].split(": ")[0]) for found in error.diagnostics] == [
            ("bad-json", f"{path}:2"),
            ("bad-value", f"{path}:4"),
            ("bad-row", f"{path}:5"),
        ]
        report = bboxconv.convert(path, tmp_path / "o.jsonl", on_error="skip")
        assert (report.images, report.boxes) == (1, 1)

    def test_a_folder_without_files(self, tmp_path: Path) -> None:
        """A folder that holds neither is refused."""
        (tmp_path / "README.md").write_text("# nothing\n")
        refused(tmp_path, "no-annotations")

    def test_a_text_that_claims_to_be_json(self, tmp_path: Path) -> None:
        """Text in a column of the model's JSON fields that is no JSON is an extra key, and breaks nothing."""
        objects = {"bbox": [[1, 2, 3, 4]], "category": ["a"], "segmentation": ['],"x":['], "extra": ["}{"]}
        path = parquet(tmp_path / "a.parquet", [{"file_name": "a", "objects": objects}])
        (read,) = rows(path)[0]["objects"]  # type: ignore[misc]
        assert (read["segmentation"], json.loads(read["extra"])) == (None, {"segmentation": '],"x":[', "extra": "}{"})


def test_processes_and_batches_do_not_show(tmp_path: Path) -> None:
    """Whatever the number of processes, and however the images come, the files are the same bytes."""
    images = [
        {
            "file_name": f"{n}.jpg",
            "width": 99,
            "height": 99,
            "split": ("train", "val", "test")[n % 3],
            "objects": [{"category": n % 2, "bbox": [n, 1, 2, 3.5]}] * (n % 4),
        }
        for n in range(500)
    ]
    bboxconv.write(dataset(images), tmp_path / "in.jsonl")
    found = []
    for number, (jobs, memory) in enumerate([(1, 256 << 20), (3, 256 << 20), (2, 1)]):
        out = tmp_path / str(number)
        bboxconv.convert(tmp_path / "in.jsonl", out, to="hf", jobs=jobs, memory=memory, batch_size=64)
        found.append({name: (out / name).read_bytes() for name in sorted(os.listdir(out)) if name == "README.md"})
        found[-1] |= {path.name: path.read_bytes() for path in (out / "data").iterdir()}
    assert found[0] == found[1] == found[2]
