"""What bboxconv expects of every format, its own and those of other packages; `bboxconv.testing` is the public name.

Reference data are written and read back. What the writer's `target` carries must come back, what it does not carry
must be counted, and both are derived from EVERYTHING and the target alone.

How numbers are compared: where the box formats of the data and of the writer differ in nothing but their rotation,
and for every number that is no coordinate, to the last bit. Else with what `convert_boxes` gives in float64, to half
a unit of the last of `decimals`, or to 4 ulp where all digits are written.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
import pytest

from bboxconv import api, pipeline, registry, schema
from bboxconv.boxes import BoxFormat, convert_boxes
from bboxconv.codec import EVERYTHING, Options, Source, Target, Writes
from bboxconv.errors import BboxconvError, DataError
from bboxconv.report import Report
from bboxconv.request import Request
from bboxconv.schema import Dataset, Header
from bboxconv.testing.referencedata import (
    REFERENCES,
    Broken,
    Row,
    carried_extra,
    contents,
    count_boxes,
    expected,
    in_batches,
    reference_dataset,
    rows_of,
)
from bboxconv.workers import at_work


class FormatConformance:
    """The tests of one format: derive a class from it in a test module, with the attributes below."""

    format_name: ClassVar[str] = ""
    options: ClassVar[Options] = {}
    """Options of writing, as `--out` gives them."""
    read_options: ClassVar[Options] = {}
    """Options of reading that fit them, as `--in` gives them."""
    folder: ClassVar[bool] = False
    """Of a format with the layout `either`: write a folder."""
    decimals: ClassVar[int | None] = None
    """Digits after the point of coordinates that had to be converted; None: all."""
    assumed_extension: ClassVar[str] = ""
    """The extension that the reader gives images, where the format does not write theirs."""
    lists_classes: ClassVar[bool] = True
    """Whether the format has a list of its classes; else it knows those of its boxes, in an order of its own."""
    broken_sources: ClassVar[Sequence[Broken]] = ()

    # -- how the tests write and read

    def listing(self) -> registry.Listing:
        """The format as it is installed."""
        found = next((found for found in registry.formats() if found.name == self.format_name), None)
        assert found is not None, f"no package provides the format {self.format_name!r}"
        assert not found.error, found.error
        return found

    def writer(self) -> Writes:
        """The format, which must write; the test is skipped where it does not."""
        if not self.listing().writes:
            pytest.skip(f"{self.format_name} does not write")
        return registry.writer(self.format_name)

    def destination(self, folder: Path) -> Path:
        """Where to write below a folder."""
        info = self.writer().INFO
        return folder / ("out" if self.folder or info.layout == "folder" else f"out{info.extensions[0]}")

    def put(self, dataset: Dataset, path: Path, *, batch_size: int = 4096, jobs: int = 1) -> Report:
        """Write a data set."""
        request = Request((), str(path), to=self.format_name, out=self.options, batch_size=batch_size, jobs=jobs)
        return pipeline.run(request, dataset=dataset)

    def get(self, path: Path, *, batch_size: int = 4096, jobs: int = 1) -> Dataset:
        """Read what was written; the test is skipped where the format does not read."""
        if not self.listing().reads:
            pytest.skip(f"{self.format_name} does not read")
        return api.read(path, from_=self.format_name, in_=self.read_options, batch_size=batch_size, jobs=jobs)

    def target(self, header: Header) -> Target:
        """What the writer wants."""
        writer = self.writer()
        target = writer.target(
            header, registry.options_of(dict(self.options), writer.INFO.write_options, "out", self.format_name)
        )
        return replace(target, carries=target.carries | {"image.split"}) if self.folder else target

    # -- the declaration

    def test_info_is_sound(self) -> None:
        """INFO names the format as its entry point does, declares fields of the model alone, and options whose
        defaults they accept.
        """
        info = self.listing().info
        assert info is not None
        assert info.name == self.format_name
        assert info.layout in ("file", "folder", "either")
        assert info.title
        assert info.spec
        assert info.extensions
        assert all(extension.startswith(".") and extension == extension.lower() for extension in info.extensions)
        keys = {name for name in info.carries if name.startswith(("image.extra.", "object.extra."))}
        assert info.carries - keys <= EVERYTHING
        for options in (info.read_options, info.write_options):
            assert len({option.name for option in options}) == len(options)
            assert all(option.accepts(option.default) and option.help for option in options)

    def test_target_agrees_with_info(self) -> None:
        """Without options the target carries what INFO says, and requires nothing but what the pipeline can see
        to.
        """
        writer = self.writer()
        target = writer.target(
            Header(BoxFormat("xywh")), {option.name: option.default for option in writer.INFO.write_options}
        )
        assert target.carries == writer.INFO.carries
        assert target.requires <= {
            "image.file_name",
            "image.width",
            "image.height",
            "object.category",
            "object.bbox",
            "object.place",
            "image.objects",
        }

    # -- what survives and what is counted

    @pytest.mark.parametrize("name", REFERENCES)
    def test_what_is_carried_comes_back(self, name: str, tmp_path: Path) -> None:
        """Every field that the target carries is read back as it was written; what it does not carry is not made
        up.
        """
        self.round_trip(reference_dataset(name), tmp_path)

    @pytest.mark.parametrize("name", REFERENCES)
    def test_the_account_is_exact(self, name: str, tmp_path: Path) -> None:
        """What is read is what is written plus what is left out, and every value is counted under its field: as
        carried, as changed or as lost.
        """
        dataset = reference_dataset(name)
        wanted = expected(dataset, self.target(dataset.header))
        report = self.put(dataset, self.destination(tmp_path))
        images = rows_of(dataset)
        assert (report.read.images, report.read.boxes) == (len(images), count_boxes(images))
        assert (report.images, report.boxes) == (len(wanted.images), count_boxes(wanted.images))
        assert dict(report.left_out_images) == dict(+wanted.left_out_images)
        assert dict(report.left_out_boxes) == dict(+wanted.left_out_boxes)
        assert dict(report.lost) == dict(+wanted.lost)
        fields = report.fields
        assert {name: values.count for name, values in fields.items()} == dict(+wanted.seen)
        assert {name: values.lost for name, values in fields.items() if values.lost} == dict(+wanted.lost)
        assert all(values.carried >= 0 for values in fields.values())
        changed = {"object.bbox", "object.rotation", "object.segmentation", "object.keypoints"}
        changed |= {"category.id"} if self.target(dataset.header).indexed else set()
        assert {name for name, values in fields.items() if values.changed} <= changed

    def test_numbers_of_its_own_box_format_come_back_to_the_last_bit(self, tmp_path: Path) -> None:
        """Three thousand boxes of one image, in the box format of the target, are the same bits again."""
        box = self.target(Header(BoxFormat("xywh"))).box or BoxFormat("xyxy", 1.0)
        dataset = reference_dataset("many boxes", box)
        self.put(dataset, self.destination(tmp_path))
        found = self.get(self.destination(tmp_path))
        assert found.header.box == box
        (wanted,) = (schema.boxes_of(schema.flat(batch).rows)[0] for batch in dataset)
        read = np.concatenate([schema.boxes_of(schema.flat(batch).rows)[0] for batch in found])
        assert read.shape == wanted.shape
        differ = (wanted.view(np.int64) != read.view(np.int64)).any(axis=1)
        # the first alone: a difference of thousands of numbers is slow to show, and tells no more
        assert wanted[differ][:1].tolist() == read[differ][:1].tolist()

    def test_it_is_recognised(self, tmp_path: Path) -> None:
        """What the format wrote is detected as this format, with evidence."""
        path = self.destination(tmp_path)
        self.put(reference_dataset("full"), path)
        module, match = registry.detect(Source(path))
        assert (module.INFO.name, bool(match.evidence), 0 < match.weight <= 1) == (self.format_name, True, True)

    # -- sameness

    @pytest.mark.parametrize("size", [1, 2, 3])
    def test_batches_do_not_matter(self, size: int, tmp_path: Path) -> None:
        """Images written and read in small batches are the same images, and batches are never larger than asked
        for.
        """
        dataset = reference_dataset("full")
        first, second = (self.destination(tmp_path / name) for name in ("first", "second"))
        self.put(dataset, first)
        self.put(in_batches(dataset, size), second, batch_size=size)
        assert rows_of(self.get(first)) == rows_of(self.get(second))
        small = self.get(first, batch_size=size)
        assert all(0 < len(batch) <= size for batch in small)
        assert rows_of(small) == rows_of(self.get(first))
        assert rows_of(small) == rows_of(small)

    def test_the_same_data_are_the_same_bytes(self, tmp_path: Path) -> None:
        """Whatever batches the images come in, and whatever the number of processes, the same bytes are written."""
        dataset = reference_dataset("full")
        written = []
        for number, (size, jobs) in enumerate([(4096, 1), (4096, 2), (2, 1)]):
            path = self.destination(tmp_path / str(number))
            self.put(in_batches(dataset, size), path, jobs=jobs)
            written.append(contents(path))
        assert written[0] == written[1] == written[2]
        one, two = (rows_of(self.get(self.destination(tmp_path / "0"), jobs=jobs)) for jobs in (1, 2))
        assert one == two

    def test_processes_and_memory_do_not_show(self, tmp_path: Path) -> None:
        """Three processes that may hold nothing in memory write the bytes that one writes."""
        first, one, three = (self.destination(tmp_path / name) for name in ("first", "one", "three"))
        self.put(reference_dataset("full"), first)
        self.get(first)
        request = Request((str(first),), from_=self.format_name, to=self.format_name, in_=self.read_options)
        pipeline.run(replace(request, dst=str(one), out=self.options, jobs=1))
        with at_work(3) as workers:
            workers.begin()
            pipeline.run(replace(request, dst=str(three), out=self.options, memory=1), workers=workers)
        assert contents(one) == contents(three)

    # -- refusals

    @pytest.mark.parametrize(
        ("name", "code"),
        [("no class", "missing-class"), ("no size", "missing-image-size"), ("no file name", "missing-file-name")],
    )
    def test_what_it_requires_is_asked_for(self, name: str, code: str, tmp_path: Path) -> None:
        """Data that lack what the target requires are refused with a code and a place, and nothing is written; other
        data come through.
        """
        dataset = reference_dataset(name)
        target = self.target(dataset.header)
        lacks = {"no class": {"object.category"}, "no size": {"image.width"}, "no file name": {"image.file_name"}}[name]
        unsized = name == "no size" and target.box is not None and dataset.header.box.needs_size(target.box)
        if not (target.requires & lacks or unsized):
            self.round_trip(dataset, tmp_path)
            return
        with pytest.raises(DataError) as refused:
            self.put(dataset, self.destination(tmp_path))
        assert [found.code for found in refused.value.diagnostics if found.severity == "error"] == [code]
        assert all(found.places for found in refused.value.diagnostics)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(("name", "code"), [("unsafe names", "unsafe-name"), ("same stem", "file-clash")])
    def test_names_that_cannot_be_files_are_refused(self, name: str, code: str, tmp_path: Path) -> None:
        """A file name that leads out of the output, or a file that two images would share, is refused by naming it,
        or comes back as it was.
        """
        dataset = reference_dataset(name)
        folder = tmp_path / "a" / "b"
        folder.mkdir(parents=True)
        try:
            self.put(dataset, self.destination(folder))
        except DataError as refused:
            assert {found.code for found in refused.diagnostics if found.severity == "error"} == {code}
            names = [str(image["file_name"]) for image in rows_of(dataset)]
            assert all(image in str(refused) for image in names), f"not all of {names} in: {refused}"
        else:
            wanted = expected(dataset, self.target(dataset.header)).images
            found = [image["file_name"] for image in rows_of(self.get(self.destination(folder)))]
            assert found == [image["file_name"] for image in wanted]
        assert {path.name for path in folder.iterdir()} <= {self.destination(folder).name}
        assert [path.name for path in tmp_path.rglob("*") if folder not in (path, *path.parents)] == ["a"]

    def test_numbers_that_are_none_are_not_lost_silently(self, tmp_path: Path) -> None:
        """Boxes with NaN or infinity are refused with a code and a place, or as many are read back as were
        counted.
        """
        path = self.destination(tmp_path)
        try:
            report = self.put(reference_dataset("not finite"), path)
        except DataError as refused:
            assert all(found.places for found in refused.diagnostics if found.severity == "error")
        else:
            assert count_boxes(rows_of(self.get(path))) == report.boxes

    def test_a_fault_has_a_code_and_a_place(self, tmp_path: Path) -> None:
        """Each broken source is refused with its code and the place of the fault, by the library's `read` too, and
        nothing is written.
        """
        if not self.listing().reads:
            pytest.skip(f"{self.format_name} does not read")
        assert self.broken_sources, "broken_sources must show at least one input with a fault"
        for number, broken in enumerate(self.broken_sources):
            source, out = broken.put(tmp_path / str(number)), tmp_path / "out.jsonl"
            with pytest.raises(BboxconvError) as refused:
                api.convert(source, out, from_=self.format_name, in_=self.read_options, jobs=1)
            faults = [found for found in refused.value.diagnostics if found.severity == "error"]
            assert broken.code in [found.code for found in faults]
            places = [str(place) for found in faults if found.code == broken.code for place in found.places]
            assert any(broken.where in place for place in places), f"{broken.where!r} is in none of {places}"
            assert all(found.places for found in faults), "a fault without a place"
            assert not out.exists()
            with pytest.raises(BboxconvError):
                rows_of(self.get(source))

    # -- comparing

    def round_trip(self, dataset: Dataset, folder: Path) -> None:
        """Write and read back; assert that what must come back does."""
        path = self.destination(folder)
        target = self.target(dataset.header)
        wanted = expected(dataset, target).images
        report = self.put(dataset, path)
        try:
            found = self.get(path)
        except DataError as refused:  # a folder that holds no file need not be told from a wrong path
            assert (wanted, [fault.code for fault in refused.diagnostics]) == ([], ["no-annotations"])
            return
        rows = rows_of(found)
        self.compare_headers(
            dataset.header,
            found.header,
            target,
            [o for image in wanted for o in cast("list[Row]", image["objects"] or [])],
        )
        if path.is_dir():  # the order of images is that of the files
            wanted, rows = sorted(wanted, key=self.read_name), sorted(rows, key=lambda row: str(row["file_name"]))
        assert len(rows) == len(wanted)
        for want, got in zip(wanted, rows, strict=True):
            want = {**want, "file_name": None if want["file_name"] is None else self.read_name(want)}
            self.compare("image", schema.IMAGE_FIELDS, want, got, target, report)
            objects = [cast("list[Row] | None", row["objects"]) for row in (want, got)]
            assert (objects[0] is None, len(objects[0] or ())) == (objects[1] is None, len(objects[1] or ())), want[
                "file_name"
            ]
            self.compare_boxes(want, got, dataset.header.box, found.header.box)
            for one, other in zip(objects[0] or (), objects[1] or (), strict=True):
                names = [header.categories[cast(int, row["category"])].name if row["category"] is not None else None
                         for header, row in ((dataset.header, one), (found.header, other))]  # fmt: skip
                assert names[0] == names[1]
                fields = [name for name in schema.OBJECT_FIELDS if name not in ("bbox", "category")]
                self.compare("object", fields, one, other, target, report)

    def read_name(self, image: Row) -> str:
        """The name that the reader gives an image."""
        name = str(image["file_name"])
        return str(Path(name).with_suffix(self.assumed_extension)) if self.assumed_extension else name

    def compare(self, prefix: str, fields: Sequence[str], want: Row, got: Row, target: Target, report: Report) -> None:
        """Assert that carried fields are the same, and the others null, or counted as filled."""
        for name in fields:
            key = f"{prefix}.{name}"
            value, read = want[name], got[name]
            if name == "extra":
                assert (json.loads(str(read)) if read is not None else None) == carried_extra(key, want, target), key
            elif key not in target.carries or value is None:
                assert read is None or key in report.filled, f"{key} was not written, and is read as {read!r}"
            elif name in schema.JSON_FIELDS:
                assert json.loads(str(read)) == json.loads(str(value)), key
            else:
                assert read == value, key

    def compare_boxes(self, want: Row, got: Row, box: BoxFormat, other: BoxFormat) -> None:
        """Assert that the boxes of an image are the same numbers, converted where the formats differ."""
        boxes, found = ([row["bbox"] for row in cast("list[Row]", image["objects"] or [])] for image in (want, got))
        assert [one is None for one in boxes] == [one is None for one in found]
        values, read = (
            np.array([one for one in rows if one is not None], np.float64).reshape(-1, 4) for rows in (boxes, found)
        )
        if replace(box, rotation=None) == replace(other, rotation=None):
            assert values.tolist() == read.tolist()
            return
        size = [cast(float, want[side]) for side in ("width", "height")] if box.needs_size(other) else None
        converted = convert_boxes(values, box, other, size)
        rounding = 0.0 if self.decimals is None else 0.5 * 10.0**-self.decimals
        slack = 4 * np.spacing(np.abs(converted).max(initial=1.0)) + rounding
        assert np.abs(converted - read).max(initial=0.0) <= slack

    def compare_headers(self, want: Header, got: Header, target: Target, objects: Sequence[Row]) -> None:
        """Assert that the carried parts of the header are the same."""
        for name in ("info", "licenses", "extra"):
            text, read = (getattr(header, name) if name in target.carries else None for header in (want, got))
            assert (text and json.loads(text)) == (read and json.loads(read)), name
        assert got.box == (target.box or want.box)
        used = {want.categories[cast(int, row["category"])].name for row in objects if row["category"] is not None}
        if not self.lists_classes:
            assert {category.name for category in got.categories} == used
            return
        assert [category.name for category in got.categories] == [category.name for category in want.categories]
        for one, other in zip(want.categories, got.categories, strict=True):
            for name in ("id", "supercategory", "extra"):
                value, read = getattr(one, name), getattr(other, name)
                if f"category.{name}" in target.carries and value is not None:
                    assert (json.loads(read) if name == "extra" else read) == (
                        json.loads(value) if name == "extra" else value
                    )
