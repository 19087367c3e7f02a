"""Boxes drawn on images: where they stand, in which colors, which images are chosen, what cannot be shown."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import helpers
import numpy as np
import pytest
from numpy.typing import NDArray

import bboxconv
from bboxconv.boxes import BoxFormat
from bboxconv.boxformat import Rotation
from bboxconv.errors import DataError, Diagnostic, ExitCode, UsageError
from bboxconv.palette import COLORS, color
from bboxconv.schema import Category, Header

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed: the extra bboxconv[draw] installs it")

from bboxconv.drawing import canvas, figures, labels, masks, picture, shapes  # noqa: E402

SAMPLE = Path(__file__).parents[1] / "examples" / "sample"
GOLDEN = SAMPLE.parent / "sheet.png"
BLANK = canvas.BLANK


def rgb(index: int) -> tuple[int, ...]:
    """The color of a class."""
    return tuple(bytes.fromhex(color(index)[1:]))


def pixels(path: Path) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) of a picture."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def one_image(folder: Path, size: tuple[int, int], *boxes: Sequence[float], **more: object) -> Path:
    """A COCO file of one image and its boxes, all of class 0."""
    image = {"id": 1, "file_name": "a.png", "width": size[0], "height": size[1]}
    rows = [{"id": n, "image_id": 1, "category_id": 1, "bbox": list(box), **more} for n, box in enumerate(boxes, 1)]
    return helpers.coco(folder / "a.json", [image], rows, [{"id": 1, "name": "cat"}])


def many(path: Path, count: int = 90) -> Path:
    """A Parquet file of images with some boxes, in several row groups."""
    rng = np.random.default_rng(5)
    images = [
        {
            "id": n,
            "file_name": f"{n}.jpg",
            "width": 100,
            "height": 80,
            "objects": [
                {"id": n * 10 + k, "category": int(rng.integers(2)), "bbox": [float(k), 2.0, 30.0, 20.0]}
                for k in range(n % 4)
            ],
        }
        for n in range(count)
    ]
    bboxconv.write(helpers.dataset(images), path)
    return path


# -- pictures


def test_the_sample_looks_as_it_was_reviewed(tmp_path: Path) -> None:
    """A sheet of the sample, with polygons, keypoints and crowds, is the one that was looked at, which the README
    shows, but for what versions of Pillow draw otherwise. BBOXCONV_GOLDEN=write writes it anew; look at it before
    committing it.
    """
    bboxconv.draw(SAMPLE / "coco" / "instances_train.json", tmp_path / "sheet.png", pick="first", count=9)
    found = pixels(tmp_path / "sheet.png")
    if os.environ.get("BBOXCONV_GOLDEN") == "write":
        Image.fromarray(found).quantize(128, dither=Image.Dither.NONE).save(GOLDEN, optimize=True)
    assert GOLDEN.stat().st_size < 60_000
    expected = pixels(GOLDEN)
    assert found.shape == expected.shape
    assert (np.abs(found.astype(int) - expected).max(axis=2) > 60).mean() < 0.002


def test_lines_stand_where_boxes_are(tmp_path: Path) -> None:
    """The first and last pixels of a box have the color of its class, others inside and outside that of the canvas."""
    source = one_image(tmp_path, (200, 100), [50, 40, 60, 30])
    drawing = bboxconv.draw(source, f"{tmp_path}/out/")
    assert (drawing.files, drawing.boxes, drawing.exit_code) == (("a.png",), 1, ExitCode.DONE)
    found = pixels(tmp_path / "out" / "a.png")
    assert found.shape == (100, 200, 3)
    for x, y in ((50, 55), (109, 55), (80, 69), (109, 69), (50, 69)):
        assert tuple(found[y, x]) == rgb(0), (x, y)
    for x, y in ((80, 55), (55, 60), (130, 55), (80, 90)):
        assert tuple(found[y, x]) == BLANK, (x, y)


def test_fractions_stand_on_the_image(tmp_path: Path) -> None:
    """Boxes in fractions are drawn by the size of the image itself, which a folder of labels does not say."""
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    Image.new("RGB", (120, 60), (10, 20, 30)).save(tmp_path / "images" / "a.png")
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    bboxconv.draw(tmp_path / "labels", f"{tmp_path}/out/", from_="yolo", images=tmp_path / "images")
    found = pixels(tmp_path / "out" / "a.png")
    assert found.shape == (60, 120, 3)
    assert [tuple(found[y, x]) for x, y in ((30, 30), (89, 30), (60, 30))] == [rgb(0), rgb(0), (10, 20, 30)]


def test_a_crowd_is_not_told_by_color_alone(tmp_path: Path) -> None:
    """A crowd has a dashed line and hatching where a plain box has a whole line and nothing, and its label says so."""
    looks = {}
    for crowd in (0, 1):
        source = one_image(tmp_path, (400, 300), [50, 60, 300, 200], iscrowd=crowd)
        bboxconv.draw(source, f"{tmp_path}/{crowd}/")
        found = pixels(tmp_path / f"{crowd}" / "a.png")
        inside = (found[100:220, 100:300] != BLANK).any(axis=2).mean()
        looks[crowd] = inside, len({tuple(pixel) for pixel in found[259, 60:340].tolist()})
    assert looks[0] == (0, 1)
    assert 0.1 < looks[1][0] < 0.5 and looks[1][1] > 1
    row = next(iter(bboxconv.read(one_image(tmp_path, (400, 300), [5, 6, 30, 20], iscrowd=1))))
    assert [one.name for one in figures.figures_of(row, Header(BoxFormat("xywh")), (400, 300), ["cat"], [()])] == [
        "cat (crowd)"
    ]


def test_turned_boxes() -> None:
    """A rectangle of 40 by 20 around (100, 50), turned clockwise by 90 and by 30 degrees, has the corners of the
    formula; pivoted at its corner, those turned around that.
    """
    row = helpers.batch(
        [{"objects": [{"category": 0, "bbox": [100.0, 50.0, 40.0, 20.0], "rotation": turn} for turn in (90.0, 30.0)]}]
    )
    for pivot, middle in (("center", (100.0, 50.0)), ("corner", (80.0, 40.0))):
        header = Header(BoxFormat("cxcywh", rotation=Rotation("degree", "cw", pivot)))  # type: ignore[arg-type]
        found = figures.figures_of(row, header, (200, 100), ["cat"], [()])
        for turn in (90.0, 30.0):
            angle = np.exp(1j * np.deg2rad(turn))
            corners = np.array([80 + 40j, 120 + 40j, 120 + 60j, 80 + 60j]) - complex(*middle)
            expected = corners * angle + complex(*middle)
            near = [
                np.allclose(one.turned, np.column_stack((expected.real, expected.imag)))
                for one in found
                if one.turned is not None and not one.outlined
            ]
            assert any(near), (pivot, turn)


def test_the_orientation_of_a_photograph(tmp_path: Path) -> None:
    """A JPEG stored on its side is drawn upright; where annotations give its size as stored, it is drawn as stored, and
    so it is with `exif=no`.
    """
    stored = np.zeros((40, 64, 3), np.uint8)
    stored[:, :32] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(tmp_path / "a.jpg", exif=exif, quality=95)

    def drawn(width: int | None, height: int | None, **options: str) -> NDArray[np.uint8]:
        image = {"id": 1, "file_name": "a.jpg", "width": width, "height": height}
        source = helpers.coco(tmp_path / "a.json", [image], [], [{"id": 1, "name": "cat"}])
        drawing = bboxconv.draw(source, tmp_path / "out", each=True, images=tmp_path, in_=options, overwrite=True)
        assert drawing.files == ("a.jpg",)
        return pixels(tmp_path / "out" / "a.jpg")

    upright = drawn(40, 64)
    assert upright.shape == (64, 40, 3)
    assert upright[5].mean() > 240 and upright[60].mean() < 15
    assert drawn(64, 40).shape == drawn(40, 64, exif="no").shape == (40, 64, 3)
    assert drawn(None, None).shape == (64, 40, 3)


def test_a_sheet_has_every_picture_and_the_same_bytes(tmp_path: Path) -> None:
    """A contact sheet shows each image once, in rows, and is the same again for any number of threads and batches."""
    source = many(tmp_path / "a.parquet")
    for name, options in (("1.png", {"jobs": 1}), ("2.png", {"jobs": 2, "batch_size": 7})):
        drawing = bboxconv.draw(source, tmp_path / name, count=9, **options)  # type: ignore[arg-type]
        assert (len(drawing.images), drawing.eligible, drawing.read) == (9, 90, 90)
    assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes()
    blank = (pixels(tmp_path / "1.png") == BLANK).all(axis=2)
    assert (np.diff(np.flatnonzero(blank.any(axis=1))) > 1).sum() == 2
    assert bboxconv.draw(source, tmp_path / "a.jpg", count=1).files == ("a.jpg",)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "JPEG"


# -- masks


def test_masks_are_those_of_pycocotools() -> None:
    """Compressed and plain run lengths of random masks are decoded to what was encoded."""
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(3)
    for height, width, share in ((1, 1, 1), (1, 1, 0), (7, 5, 0.5), (300, 200, 0.02), (64, 480, 0.97), (600, 401, 0.5)):
        expected = rng.random((height, width)) < share
        if height == 600:  # runs that are long enough for several groups of bits, and shorter than those before
            expected[:, 100:300] = expected[:, 310:] = False
        encoded = coco.encode(np.asfortranarray(expected.astype(np.uint8)))
        runs = np.flatnonzero(np.diff(expected.T.reshape(-1).astype(int))) + 1
        plain = np.diff([0, *runs.tolist(), height * width]).tolist()
        for counts in (encoded["counts"].decode(), [0, *plain] if expected[0, 0] else plain):
            found = masks.mask_of(json.dumps({"size": [height, width], "counts": counts}))
            assert found is not None and np.array_equal(found.pixels(), expected)


@pytest.mark.parametrize(
    "counts", [[3, 2], [-1, 7], [3, 4, 99], "1", "zzz", "o", "\x01", [2**70], None, [2**62, 2**62, -(2**63) + 6]]
)
def test_no_masks(counts: object) -> None:
    """Runs that do not fill their size, or are no runs, are no mask; nor is a size that would take all memory."""
    assert masks.mask_of(json.dumps({"size": [2, 3], "counts": counts})) is None
    assert masks.mask_of(json.dumps({"size": [2**30, 2**30], "counts": [2**60]})) is None


def test_what_cannot_be_read_is_told_and_the_rest_drawn(tmp_path: Path) -> None:
    """A broken mask is counted, and its box is drawn."""
    source = one_image(tmp_path, (200, 100), [50, 40, 60, 30], segmentation={"size": [100, 200], "counts": "xx"})
    drawing = bboxconv.draw(source, f"{tmp_path}/out/")
    assert codes(drawing.findings)["not-drawn"] == 1
    assert tuple(pixels(tmp_path / "out" / "a.png")[55, 50]) == rgb(0)


# -- labels


NAMES = ("cat", "a class with a name that is much longer than any picture is wide " * 5, "café", "собака", "犬", "x\ny")


@pytest.mark.parametrize("size", [(80, 60), (60, 80), (640, 480), (4000, 3000), (400, 20), (12, 9)])
def test_labels_stay_inside(size: tuple[int, int]) -> None:
    """On pictures from 12 to 4,000 pixels labels lie inside, their letters fit into them and are 11 pixels at least,
    and none lies on another one.
    """
    rng = np.random.default_rng(1)
    names, _ = picture.shown_names([Category(name) for name in NAMES])
    corners = rng.uniform(-0.2, 1.1, (120, 2)) * size
    given = [
        {"category": n % 6, "bbox": [*corner.tolist(), *(rng.uniform(0.01, 0.5, 2) * size).tolist()]}
        for n, corner in enumerate(corners)
    ]
    row = helpers.batch([{"width": size[0], "height": size[1], "objects": given}])
    blank = canvas.blank(size, None, "missing")
    found = labels.placed(blank, figures.figures_of(row, Header(BoxFormat("xywh")), size, names, [()] * 6))
    assert len(found) > (0 if min(size) > 10 else -1)
    taken = np.zeros(size[::-1], np.bool_)
    for label in found:
        left, top, right, bottom = label.box
        assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
        assert label.font.getlength(label.text) <= right - left
        assert labels.letter_size(size) >= 11 and bottom - top >= 11
        assert not taken[top:bottom, left:right].any()
        taken[top:bottom, left:right] = True
    if size == (4000, 3000):
        assert names[2] in ("café", "cafe")  # where no font has the accent
        assert {label.text for label in found} >= {"cat", names[2]}


def test_colors_are_told_apart_by_everybody() -> None:
    """Any two colors are far from each other in OKLab, for normal eyes and for the three kinds of color blindness as
    Machado, Oliveira and Fernandes (2009) model them: 0.02 is just seen.
    """
    models = {
        "normal": np.eye(3),
        "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    }
    cones = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
             [0.0883024619, 0.2817188376, 0.6299787005]]  # fmt: skip
    lab = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
           [0.0259040371, 0.7827717662, -0.8086757660]]  # fmt: skip
    values = np.array([list(bytes.fromhex(one[1:])) for one in COLORS]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    for name, model in models.items():
        seen = np.cbrt(np.clip(linear @ np.transpose(model), 0, 1) @ np.transpose(cones)) @ np.transpose(lab)
        far = np.linalg.norm(seen[:, None] - seen[None], axis=2)[np.triu_indices(len(COLORS), 1)]
        assert far.min() > 0.07, name


def test_letters_are_in_contrast_to_their_ground() -> None:
    """The letters of each class have a contrast of at least 4.5 to 1 with their ground, as WCAG 2 wants it."""

    def luminance(value: Sequence[int]) -> float:
        parts = np.array(value) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    for ground in [rgb(n) for n in range(24)] + [shapes.CLASSLESS]:
        both = sorted((luminance(ground), luminance(shapes.ink_on(ground))))  # type: ignore[arg-type]
        assert (both[1] + 0.05) / (both[0] + 0.05) >= 4.5


def test_a_name_that_no_font_has_is_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A class whose letters no font has is shown in simpler ones, or by its id, which a warning says; the others keep
    their names.
    """
    from bboxconv.drawing import fonts

    monkeypatch.setattr(fonts, "_OTHERS", ())
    categories = [{"id": 7, "name": "\U00013000"}, {"id": 9, "name": "dog"}, {"id": 5, "name": "Łaßt"}]
    rows = [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 1, 5, 5]}]
    image = {"id": 1, "file_name": "a.png", "width": 90, "height": 90}
    drawing = bboxconv.draw(helpers.coco(tmp_path / "a.json", [image], rows, categories), tmp_path / "a.png")
    told = next(one for one in drawing.findings if one.code == "name-not-shown")
    assert set(told.where) == {"\U00013000: #7", "Łaßt: Lasst"}
    assert picture.shown_names([Category("dog"), Category("\U00013000")])[0] == ("dog", "#1")


# -- what is chosen


@pytest.mark.parametrize("pick", ["random", "worst"])
def test_picks_do_not_depend_on_processes(pick: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same images are chosen by one process and by three, and in batches of any size."""
    monkeypatch.setattr("bboxconv.formats.parquet.reading.SMALL", 0)
    source = many(tmp_path / "a.parquet")
    found = [
        bboxconv.draw(source, tmp_path / "a.png", pick=pick, count=5, overwrite=True, **options).images  # type: ignore[arg-type]
        for options in ({"jobs": 1}, {"jobs": 3, "batch_size": 4}, {"batch_size": 1})
    ]
    assert len(found[0]) == 5
    assert found[1:] == found[:1] * 2


def test_random_picks_are_seeded_and_fair(tmp_path: Path) -> None:
    """Another seed gives other images, the same seed the same; over many seeds every image is chosen about as often."""
    from bboxconv.codec import Encoding
    from bboxconv.errors import Findings
    from bboxconv.picking import Chooser, best_of

    batches = list(bboxconv.read(many(tmp_path / "a.parquet", 40)))

    def names(seed: int) -> tuple[str, ...]:
        chooser = Chooser("random", 10, seed, BoxFormat("xywh"))
        chosen = best_of((chooser(batch, Encoding(Findings())) for batch in batches), "random", 10)
        return tuple(chosen.rows.column("file_name").to_pylist())

    assert names(1) == names(1) != names(2)
    times = np.unique([name for seed in range(120) for name in names(seed)], return_counts=True)[1]
    assert len(times) == 40
    assert times.min() > 11 and times.max() < 49  # 30 on average, with a standard deviation of 4.7


def test_worst_is_first_faults_then_overlaps(tmp_path: Path) -> None:
    """The worst image has the most boxes outside or without area, the next the most pairs of one class that overlap by
    more than a half; crowds, other classes and other images do not count.
    """
    sets: Mapping[str, Sequence[tuple[int, list[float], int]]] = {
        "sound": [(0, [0, 0, 10, 10], 0), (1, [0, 0, 10, 10], 0), (0, [20, 0, 10, 10], 0)],
        "crowd": [(0, [0, 0, 10, 10], 1)] * 5,
        "two": [(0, [90, 0, 20, 10], 0), (0, [5, 5, 0, 3], 0)],
        "one": [(0, [-5, 0, 20, 10], 0)],
        "pairs": [(0, [0, 0, 10, 10], 0)] * 3,
        "pair": [(0, [0, 0, 10, 10], 0), (0, [0, 0, 10, 6], 0), (0, [0, 0, 10, 1], 0)],
    }
    images = [
        {
            "id": n,
            "file_name": name,
            "width": 100,
            "height": 100,
            "objects": [{"id": k, "category": c, "bbox": b, "iscrowd": bool(f)} for k, (c, b, f) in enumerate(boxes)],
        }
        for n, (name, boxes) in enumerate(sets.items())
    ]
    bboxconv.write(helpers.dataset(images), tmp_path / "a.parquet")
    drawing = bboxconv.draw(tmp_path / "a.parquet", tmp_path / "a.png", pick="worst")
    assert drawing.images == ("two", "one", "pairs", "pair", "sound", "crowd")


def test_findings_lead_to_their_images(tmp_path: Path) -> None:
    """`finding=CODE` draws the images that such findings name, also beyond the first five, found by reading label files
    or boxes.
    """
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 50, "height": 50} for n in range(20)]
    rows = [{"id": n, "image_id": n, "category_id": 1, "bbox": [45 if n % 2 else 5, 5, 10, 10]} for n in range(20)]
    source = helpers.coco(tmp_path / "a.json", images, rows, [{"id": 1, "name": "cat"}])
    drawing = bboxconv.draw(source, tmp_path / "a.png", pick="finding=box-outside-image")
    assert drawing.images == tuple(f"{n}.jpg" for n in range(1, 20, 2))
    assert max(len(one.places) for one in drawing.findings) == 5
    broken = SAMPLE.parent / "broken" / "yolo"
    drawing = bboxconv.draw(broken, tmp_path / "b.png", pick="finding=bad-number")
    assert [Path(name).stem for name in drawing.images] == ["bad_row"]
    assert drawing.exit_code == ExitCode.SET_ASIDE


@pytest.mark.parametrize(
    ("options", "code", "hint"),
    [
        ({"pick": "finding=box-outside-imag"}, "unknown-code", "box-outside-image"),
        ({"pick": "class=prson"}, "unknown-class", "person"),
        ({"pick": "wrst"}, "bad-option-value", "worst"),
        ({"pick": "class="}, "bad-option-value", "class"),
        ({"output": "a.gif"}, "unknown-picture", "a.png"),
        ({"output": "a.png", "each": True}, "output-is-file", "-o a/"),
        ({"output": ""}, "missing-option", "sheet.png"),
        ({"count": 0}, "bad-argument", ""),
        ({"images": __file__}, "path-not-found", "it is a file"),
    ],
)
def test_what_is_wrong_is_told(options: dict[str, object], code: str, hint: str, tmp_path: Path) -> None:
    """A wrong call is a UsageError that says what was likely meant, and nothing is written."""
    given = {"output": "a.png", **options}
    output = str(given.pop("output"))
    target = f"{tmp_path}/{output}" if output else ""
    with pytest.raises(UsageError) as caught:
        bboxconv.draw(SAMPLE / "coco" / "instances_train.json", target, **given)  # type: ignore[arg-type]
    found = caught.value.diagnostics[0]
    assert found.code == code and hint in found.hint
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_draw(tmp_path: Path) -> None:
    """A class without a box, a finding that is not there, and a data set without images are refused."""
    source = SAMPLE / "coco" / "instances_train.json"
    for pick in ("class=hot air balloon", "finding=box-without-area"):
        with pytest.raises(DataError) as caught:
            bboxconv.draw(source, tmp_path / "a.png", pick=pick)
        assert caught.value.diagnostics[-1].code == "nothing-to-draw"
    assert list(tmp_path.iterdir()) == []


# -- images


def codes(findings: Sequence[Diagnostic]) -> dict[str, int]:
    """How often each code was seen."""
    return {one.code: one.count for one in findings}


def bomb(path: Path) -> None:
    """A PNG that says that it has 400 million pixels."""
    body = struct.pack(">IIBBBBB", 20000, 20000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", len(body)) + b"IHDR" + body + struct.pack(">I", zlib.crc32(b"IHDR" + body))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)


def test_images_that_cannot_be_shown_are_blank_and_counted(tmp_path: Path) -> None:
    """Missing images, broken ones and those of too many pixels are blank canvases, each counted with its name; names
    that lead out of the folder are not followed.
    """
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (30, 20), (1, 2, 3)).save(folder / "good.png")
    Image.new("RGB", (30, 20), (1, 2, 3)).save(tmp_path / "secret.png")
    (folder / "cut.png").write_bytes((folder / "good.png").read_bytes()[:60])
    (folder / "text.jpg").write_text("no image")
    bomb(folder / "bomb.png")
    names = ["good.png", "cut.png", "text.jpg", "bomb.png", "gone.png", "../secret.png"]
    images = [{"id": n, "file_name": name, "width": 30, "height": 20} for n, name in enumerate(names)]
    source = helpers.coco(tmp_path / "a.json", images, [], [{"id": 1, "name": "cat"}])
    drawing = bboxconv.draw(source, f"{tmp_path}/out/", images=folder)
    assert drawing.blank == {"broken": 2, "missing": 2, "too-large": 1}
    assert codes(drawing.findings) == {"bad-image": 2, "image-missing": 2, "image-too-large": 1}
    told = {one.code: one.where for one in drawing.findings}
    assert told["bad-image"] == ("cut.png", "text.jpg")
    assert told["image-missing"] == ("gone.png", "../secret.png")
    assert drawing.files == ("good.png", "cut.png", "text.png", "bomb.png", "gone.png", "image-0006.png")
    assert tuple(pixels(tmp_path / "out" / "good.png")[10, 10]) == (1, 2, 3)
    assert (pixels(tmp_path / "out" / "image-0006.png") == BLANK).all()
    assert drawing.exit_code == ExitCode.DONE


def test_blank_canvases_have_the_size_of_the_image_or_of_its_boxes(tmp_path: Path) -> None:
    """Without images a canvas is as large as the annotations say; where they do not, as its boxes reach, or 640 by
    480 for fractions; at most 4,096 pixels, whatever they say.
    """
    images = [
        {"id": 1, "file_name": "sized.jpg", "width": 90, "height": 70},
        {"id": 2, "file_name": "unsized.jpg"},
        {"id": 3, "file_name": "huge.jpg", "width": 2**31 - 1, "height": 2**30},
    ]
    rows = [{"id": n, "image_id": n, "category_id": 1, "bbox": [5, 6, 40, 30.5]} for n in (1, 2, 3)]
    source = helpers.coco(tmp_path / "a.json", images, rows, [{"id": 1, "name": "cat"}])
    drawing = bboxconv.draw(source, f"{tmp_path}/out/")
    found = [pixels(tmp_path / "out" / name).shape[:2] for name in drawing.files]
    assert found == [(70, 90), (37, 45), (2048, 4096)]
    assert codes(drawing.findings)["images-not-given"] == 1
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "b.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    bboxconv.draw(tmp_path / "labels", f"{tmp_path}/out2/", from_="yolo")
    unknown = pixels(tmp_path / "out2" / "b.png")
    assert unknown.shape == (480, 640, 3) and tuple(unknown[240, 160]) == tuple(unknown[359, 320]) == rgb(0)


def test_other_kinds_of_images(tmp_path: Path) -> None:
    """16 bits, transparency and palettes are shown as they look; a size that is not the annotated one is told."""
    deep = np.tile(np.linspace(1000, 9000, 40).astype(np.uint16), (30, 1))
    Image.fromarray(deep).save(tmp_path / "deep.png")
    Image.new("RGBA", (40, 30), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("RGB", (40, 30), (0, 0, 255)).convert("P").save(tmp_path / "few.gif")
    names = ["deep.png", "clear.png", "few.gif"]
    images = [{"id": n, "file_name": name, "width": 40, "height": 31} for n, name in enumerate(names)]
    source = helpers.coco(tmp_path / "a.json", images, [], [{"id": 1, "name": "cat"}])
    drawing = bboxconv.draw(source, f"{tmp_path}/out/", images=tmp_path)
    found = [pixels(tmp_path / "out" / name) for name in drawing.files]
    assert (found[0][15, 0].max(), found[0][15, -1].min()) == (0, 255)
    assert [tuple(one[15, 15]) for one in found[1:]] == [(255, 255, 255), (0, 0, 255)]
    assert codes(drawing.findings) == {"image-size-differs": 3}


def test_splits_and_equal_names_stay_apart(tmp_path: Path) -> None:
    """The picture of an image is named as it is, behind its split; of two of one name none replaces the other."""
    drawing = bboxconv.draw(SAMPLE / "yolo", f"{tmp_path}/out/", pick="first", count=20)
    assert "train/phone_upright.jpg" in drawing.files and "val/quay/harbour_b.jpg" in drawing.files
    assert pixels(tmp_path / "out/train/phone_upright.jpg").shape == (64, 40, 3)
    images = [{"id": n, "file_name": name, "width": 9, "height": 9} for n, name in enumerate(["a.jpg", "A.png"])]
    source = helpers.coco(tmp_path / "a.json", images, [], [{"id": 1, "name": "cat"}])
    assert bboxconv.draw(source, f"{tmp_path}/two/").files == ("a.png", "A-2.png")


def test_an_image_from_another_folder_is_told(tmp_path: Path) -> None:
    """An image that is found by the last part of its name alone may be another one, and is told; under its whole name
    it is not."""
    (tmp_path / "images/one").mkdir(parents=True)
    for name in ("a.png", "one/b.png"):
        Image.new("RGB", (9, 9)).save(tmp_path / "images" / name)
    names = ["a.png", "two/a.png", "one/b.png", "./one\\b.png", "one/b"]
    images = [{"id": n, "file_name": name, "width": 9, "height": 9} for n, name in enumerate(names)]
    source = helpers.coco(tmp_path / "a.json", images, [], [{"id": 1, "name": "cat"}])
    drawing = bboxconv.draw(source, tmp_path / "sheet.png", images=tmp_path / "images")
    assert [(one.code, one.where) for one in drawing.findings] == [("image-elsewhere", ("two/a.png: a.png",))]
    assert drawing.blank == {}


# -- the command


def command(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """`bboxconv draw`, as a process."""
    run = [sys.executable, "-m", "bboxconv", "draw", *words]
    return subprocess.run(run, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_the_command(tmp_path: Path) -> None:
    """One line says what was drawn, `--json` is a document on stdout, and an output that exists stays unless
    `--overwrite` is given.
    """
    source = str(one_image(tmp_path, (90, 70), [5, 6, 40, 30]))
    done = command(source, "-o", "a.png", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines()[-1].startswith("drawn: 1 image (random), 1 box, 1 on blank canvases, a.png, ")
    before = (tmp_path / "a.png").read_bytes()
    again = command(source, "-o", "a.png", cwd=tmp_path)
    assert (again.returncode, "error[output-exists]" in again.stderr) == (2, True)
    done = command(source, "-o", "a.png", "--overwrite", "--json", "--pick", "first", cwd=tmp_path)
    document = json.loads(done.stdout)
    assert (document["version"], document["command"], document["images"]) == (1, "draw", ["a.png"])
    assert (tmp_path / "a.png").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.png"]


def test_without_pillow(tmp_path: Path) -> None:
    """Where Pillow is not installed, the error says how to install it; other commands work."""
    source = one_image(tmp_path, (90, 70), [5, 6, 40, 30])
    code = (
        "import sys\nsys.modules['PIL'] = None\nimport bboxconv\nprint(bboxconv.read(sys.argv[1]).images)\n"
        "try:\n    bboxconv.draw(sys.argv[1], 'a.png')\n"
        "except bboxconv.UsageError as error:\n    print(error.diagnostics[0].code, error.diagnostics[0].hint)\n"
    )
    run = [sys.executable, "-c", code, str(source)]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["1", "missing-library pip install 'bboxconv[draw]' installs it"]
