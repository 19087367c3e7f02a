"""The page of `bboxconv report`, opened in a browser as its reader has it.

The browser is Debian's chromium, driven by Playwright (extra: peers). Where one of them is missing, tests that need it
are skipped and say why; with BBOXCONV_REQUIRE_BROWSER=1 they fail.
"""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import coco

import bboxconv
from bboxconv.__main__ import run

SAMPLE = Path(__file__).parents[1] / "examples" / "sample"
TRAIN, VAL = (SAMPLE / "coco" / f"instances_{split}.json" for split in ("train", "val"))
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
HOSTILE = (
    "</script><script>window.hit = 1</script>",
    "<img src=x onerror='window.hit = 2'>",
    "\"' onfocus=window.hit=3 autofocus x='",
    "line\u2028separator\u2029and {{script}} <!-- <script>",
    "javascript:window.hit=4//]]>",
)


# -- what stands in the file


class _Elements(HTMLParser):
    """The elements of a page, each with its attributes, and the text of its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] == "script":
            self.scripts[-1] += data


def elements(text: str) -> _Elements:
    """The page, parsed."""
    parser = _Elements()
    parser.feed(text)
    return parser


def data_of(text: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The data and the pictures of a page."""
    scripts = elements(text).scripts
    return json.loads(scripts[0]), json.loads(scripts[1])


def numbers(column: Mapping[str, str]) -> np.ndarray:
    """A column of the data."""
    kind = np.dtype(column["type"].removesuffix("Array").lower()).newbyteorder("<")
    return np.frombuffer(base64.b64decode(column["data"]), kind)


def made(tmp_path: Path, *words: str | Path, name: str = "page.html") -> str:
    """The page that a command line makes."""
    page = tmp_path / name
    assert run(["report", *map(str, words), "-o", str(page), "-qq"]) == 0
    return page.read_text(encoding="utf-8")


def test_boxes_are_those_of_the_source(tmp_path: Path) -> None:
    """Every box of the page is that of the COCO file, within a step of a 16,384th of the image, with its class."""
    data, _ = data_of(made(tmp_path, TRAIN))
    source = json.loads(TRAIN.read_text(encoding="utf-8"))
    at = {image["id"]: number for number, image in enumerate(source["images"])}
    categories = sorted(source["categories"], key=lambda category: category["id"])
    ids = [category["id"] for category in categories]
    assert data["names"] == [image["file_name"] for image in source["images"]]
    assert data["class_names"] == [category["name"] for category in categories]
    expected = []
    for one in source["annotations"]:
        image = source["images"][at[one["image_id"]]]
        x, y, w, h = (float(number) for number in one["bbox"])
        sides = np.array([image["width"], image["height"]] * 2)
        expected.append((at[one["image_id"]], ids.index(one["category_id"]), np.array([x, y, x + w, y + h]) / sides))
    owners = np.repeat(np.arange(len(source["images"])), numbers(data["counts"]))
    found = list(
        zip(owners, numbers(data["classes"]), numbers(data["boxes"]).reshape(-1, 4) / data["unit"], strict=True)
    )
    assert len(found) == len(expected) == 30
    for image, class_, corners in found:
        same = [one for one in expected if one[:2] == (image, class_)]
        assert min(float(np.abs(one[2] - corners).max()) for one in same) < 0.51 / 16_384


def test_the_page_says_nothing_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same data set gives the same bytes: for any jobs and batches, today and tomorrow; a full path is not told."""
    first = made(tmp_path, TRAIN, "--jobs", "1")
    monkeypatch.setattr("time.time", lambda: 0.0)
    again = made(tmp_path, TRAIN, "--jobs", "2", "--batch-size", "3", name="again.html")
    assert first == again
    assert str(SAMPLE) not in first and str(tmp_path) not in first
    assert "instances_train.json" in first


def test_the_account_of_a_conversion(tmp_path: Path) -> None:
    """The page has, for every field, what the conversion lost, and that the output agrees with its source."""
    bboxconv.convert(TRAIN, tmp_path / "yolo", to="yolo")
    text = made(tmp_path, TRAIN, tmp_path / "yolo")
    plain = re.sub(r"<[^>]+>", " ", text[text.index('id="conversion"') : text.index('id="findings"')])
    source = json.loads(TRAIN.read_text(encoding="utf-8"))
    written = [one for one in source["annotations"] if not one.get("iscrowd")]
    keypoints = sum("keypoints" in one for one in written)
    row = next(row for row in text.split("<tr>") if ">object.keypoints<" in row)
    assert re.findall(r'<td class="number[^"]*">(.*?)</td>', row) == [str(keypoints), "0", "0", str(keypoints)]
    assert "agrees with its source" in plain
    assert re.search(rf"Boxes left out\s+crowd\s+{len(source['annotations']) - len(written)}\s", plain)


def test_an_output_that_differs_is_said_to(tmp_path: Path) -> None:
    """A box that was moved in the output is a difference in the page; the page is made all the same."""
    source = json.loads(TRAIN.read_text(encoding="utf-8"))
    source["annotations"][0]["bbox"][0] += 3
    (tmp_path / "moved.json").write_text(json.dumps(source))
    made(tmp_path, TRAIN, tmp_path / "moved.json")
    assert "differs from its source" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_pictures(tmp_path: Path) -> None:
    """Images get small pictures, turned as they are displayed, found by the last part of their names if need be, as
    for `draw`, and never outside the folder; missing and broken files are counted, not fatal."""
    image_kind = pytest.importorskip("PIL.Image")
    folder = tmp_path / "images"
    folder.mkdir()
    image_kind.new("RGB", (600, 300), (200, 30, 40)).save(folder / "red.png")
    turned = image_kind.new("RGB", (300, 100), (10, 200, 20))
    exif = turned.getexif()
    exif[274] = 6
    turned.save(folder / "turned.jpg", exif=exif)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    images = [
        {"id": 1, "file_name": "red.png", "width": 600, "height": 300},
        {"id": 2, "file_name": "turned.jpg", "width": 100, "height": 300},
        {"id": 3, "file_name": "broken.jpg", "width": 10, "height": 10},
        {"id": 4, "file_name": "absent.jpg", "width": 10, "height": 10},
        {"id": 5, "file_name": "../images/red.png", "width": 10, "height": 10},
    ]
    path = coco(tmp_path / "a.json", images, [], [{"id": 1, "name": "cat"}])
    report = bboxconv.report_page(path, tmp_path / "page.html", images=folder)
    _, pictures = data_of((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert {one.code: one.count for one in report.findings} == {"image-missing": 1, "image-unreadable": 1}
    shown = {number: image_kind.open(io.BytesIO(base64.b64decode(text))) for number, text in pictures.items()}
    assert {number: one.size for number, one in shown.items()} == {"0": (256, 128), "1": (85, 256), "4": (256, 128)}
    assert np.abs(np.array(shown["0"].getpixel((9, 9))) - (200, 30, 40)).max() < 6
    assert report.thumbnails == 3


@pytest.mark.parametrize(("asked", "expected"), [(None, {3}), (0, set()), (2, {0, 3}), (9, {0, 1, 2, 3, 4, 5})])
def test_how_many_pictures(
    asked: int | None, expected: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the most, only images beside findings have pictures; those that are asked for are spread evenly."""
    pytest.importorskip("PIL")
    monkeypatch.setattr("bboxconv.page.run.MOST", 5)
    (tmp_path / "images").mkdir()
    images = [{"id": at, "file_name": f"{at}.png", "width": 100, "height": 100} for at in range(6)]
    for image in images:
        shutil.copy(SAMPLE / "yolo" / "images" / "train" / "stall_a.png", tmp_path / "images" / str(image["file_name"]))
    box = {"id": 1, "image_id": 3, "category_id": 1, "bbox": [90, 90, 20, 20]}
    path = coco(tmp_path / "a.json", images, [box], [{"id": 1, "name": "cat"}])
    bboxconv.report_page(path, tmp_path / "page.html", images=tmp_path / "images", thumbnails=asked)
    _, pictures = data_of((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert {int(number) for number in pictures} == expected


def test_sizes_that_nobody_knows(tmp_path: Path) -> None:
    """Without a size the canvas ends where the boxes do, or is the unit square; what is far outside is at the limit."""
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg", "width": 100, "height": 50}]
    boxes = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 300, 100]},
        {"id": 2, "image_id": 2, "category_id": 1, "bbox": [-5000, 20, 30, 10]},
    ]
    data, _ = data_of(made(tmp_path, coco(tmp_path / "a.json", images, boxes, [{"id": 1, "name": "cat"}])))
    assert (numbers(data["widths"]).tolist(), numbers(data["heights"]).tolist()) == ([-310, 100], [-120, 50])
    assert numbers(data["boxes"]).reshape(2, 4)[:, :2].tolist() == [[529, 2731], [-32767, 6554]]
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    data, _ = data_of(made(tmp_path, tmp_path / "labels", name="labels.html"))
    assert (numbers(data["widths"]).tolist(), numbers(data["heights"]).tolist()) == ([-1], [-1])
    assert numbers(data["boxes"]).tolist() == [6144, 4096, 10240, 12288]


def hostile(tmp_path: Path) -> Path:
    """A data set in which every text is an attack."""
    images = [{"id": at, "file_name": name, "width": 64, "height": 48} for at, name in enumerate(HOSTILE)]
    categories = [{"id": at, "name": name, "supercategory": name} for at, name in enumerate(HOSTILE)]
    boxes = [{"id": at, "image_id": at, "category_id": at, "bbox": [60, 8, 16, 16]} for at in range(len(HOSTILE))]
    return coco(tmp_path / "a<b>.json", images, boxes, categories, **{HOSTILE[0]: HOSTILE[1]})


def test_hostile_names_are_no_markup(tmp_path: Path) -> None:
    """No text of the data makes an element or an attribute of the page, and none is changed on the way."""
    bboxconv.convert(hostile(tmp_path), tmp_path / "b.parquet")
    text = made(tmp_path, hostile(tmp_path), tmp_path / "b.parquet")
    found = elements(text)
    assert [tag for tag, _ in found.found if tag in ("script", "img", "link", "style")] == [
        *("link", "style", "script", "script", "script")
    ]
    given = {name for _, attributes in found.found for name in attributes}
    assert [name for name in given if name.startswith("on") or name in ("style", "autofocus", "src")] == []
    assert (data_of(text)[0]["names"], data_of(text)[0]["class_names"]) == (list(HOSTILE), list(HOSTILE))


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (["a.json: image one, two.jpg, id 7"], {0}),
        (["a.json: image one, two.jpg", "a.json: image sub/b.png, object 3"], {0, 1}),
        (["data/images/sub/b.png"], {1}),
        (["data/labels/sub/b.txt:3"], {1}),
        (["voc/Annotations/c.xml:14"], {2}),
        (["labels/twice.txt"], set()),
        (["a.json: $.annotations[3].image_id"], set()),
    ],
)
def test_findings_lead_to_their_images(places: Sequence[str], expected: set[int]) -> None:
    """A place that names an image, its file or its file of labels leads to it; one that could be of two does not."""
    import pyarrow as pa

    from bboxconv.errors import Diagnostic, Place
    from bboxconv.page.data import Images, Packed
    from bboxconv.page.links import images_of

    names = ["one, two.jpg", "sub/b.png", "c.jpg", "twice.jpg", "twice.png"]
    none = np.zeros(0)
    packed: Any = Packed(pa.array(names), pa.array(names), none, none, none, none, none, ())
    found = images_of([Diagnostic("bad-value", "m", places=tuple(map(Place, places)))], Images((packed,)))
    assert set(found[0].tolist()) == expected


# -- the command


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page is named in one line on stderr; `--json` is one document on stdout; nothing is replaced unasked."""
    page = tmp_path / "page.html"
    words = ["report", f"train={TRAIN}", f"val={VAL}", "-o", str(page)]
    assert run([*words, "--json"]) == 0
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert document["counts"] == {"images": 16, "boxes": 40, "categories": 6}
    assert (document["version"], document["bytes"], document["target"]) == (1, page.stat().st_size, None)
    assert re.fullmatch(
        rf"done: 16 images, 40 boxes, 6 categories, 0 thumbnails, {re.escape(str(page))}, [\d.]+ kB, [\d.]+ s",
        said.err.splitlines()[-1],
    )
    before = page.read_bytes()
    assert run(words) == 2
    assert "error[output-exists]" in capsys.readouterr().err
    assert run([*words, "--overwrite", "-q"]) == 0
    assert page.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([str(TRAIN)], "missing-option"),
        ([str(TRAIN), "-o", str(TRAIN)], "report-is-data"),
        ([str(TRAIN), "-o", "-", "--json"], "stdout-taken"),
        ([str(TRAIN), "absent.parquet", "-o", "page.html"], "path-not-found"),
        ([str(TRAIN), "-o", "page.html", "--thumbnails", "-1"], "bad-option-value"),
        (["-", "--from", "coco", "-o", "page.html"], "special-file"),
    ],
)
def test_wrong_command(
    words: Sequence[str], code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong command is exit 2 with its code, and leaves no page."""
    monkeypatch.chdir(tmp_path)
    assert run(["report", *words]) == 2
    assert f"error[{code}]" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# -- in a browser


@dataclass(frozen=True)
class Seen:
    """A page in a browser, what its console said, and what it asked for."""

    page: Any
    said: list[str]
    asked: list[str]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.page, name)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser."""
    refuse = pytest.fail if os.environ.get("BBOXCONV_REQUIRE_BROWSER") == "1" else pytest.skip
    program = os.environ.get("BBOXCONV_CHROMIUM") or shutil.which("chromium")
    if importlib.util.find_spec("playwright") is None:
        refuse("playwright: not installed (extra: peers)")
    if program is None:
        refuse("no chromium on the path (set BBOXCONV_CHROMIUM)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages() -> dict[tuple[str | Path, ...], str]:
    """The pages that were made, by the words of their commands."""
    return {}


@pytest.fixture
def look(chromium: Any, tmp_path: Path, pages: dict[tuple[str | Path, ...], str]) -> Iterator[Callable[..., Seen]]:
    """Make a page, and open it in a window of its own; at the end the console must be empty and nothing asked for."""
    opened: list[tuple[Seen, Any]] = []

    def open_(*words: str | Path, width: int = 1280) -> Seen:
        if words not in pages:
            pages[words] = made(tmp_path, *words)
        (tmp_path / "page.html").write_text(pages[words], encoding="utf-8")
        context = chromium.new_context(viewport={"width": width, "height": 900})
        seen = Seen(context.new_page(), [], [])
        seen.page.on("console", lambda message: seen.said.append(message.text))
        seen.page.on("pageerror", lambda error: seen.said.append(str(error)))
        seen.page.on("dialog", lambda dialog: (seen.said.append(dialog.message), dialog.dismiss()))
        seen.page.on("request", lambda request: seen.asked.append(request.url))
        seen.page.goto((tmp_path / "page.html").as_uri())
        seen.page.wait_for_selector("html[data-ready]")
        opened.append((seen, context))
        return seen

    yield open_
    for seen, context in opened:
        entries = seen.evaluate("performance.getEntriesByType('resource').map((one) => one.name)")
        others = [url for url in (*seen.asked[1:], *entries) if not url.startswith("data:")]
        assert (seen.said, others) == ([], [])
        context.close()


def names(seen: Seen) -> list[str]:
    """The images of the grid, in order."""
    return [tile.get_attribute("title") for tile in seen.query_selector_all("#grid .tile")]


def test_page_opens(look: Callable[..., Seen]) -> None:
    """The page shows its numbers, charts with title and description, and every image, in the order of the data."""
    seen = look(f"train={TRAIN}", f"val={VAL}")
    sources = [json.loads(path.read_text(encoding="utf-8")) for path in (TRAIN, VAL)]
    assert seen.inner_text(".facts").split()[:2] == ["Images", "16"]
    assert names(seen) == [image["file_name"] for source in sources for image in source["images"]]
    charts = seen.query_selector_all("figure.chart > svg[role=img]")
    assert len(charts) == 4
    assert all(chart.query_selector("title") and chart.query_selector("desc") for chart in charts)
    rows = [row.inner_text().split("\t") for row in seen.query_selector_all("#classes tr")[1:]]
    assert sum(int(row[-2]) for row in rows) == 40
    assert seen.evaluate("document.querySelectorAll('#split option').length") == 3


def test_search_and_filters(look: Callable[..., Seen]) -> None:
    """Names, findings, splits and classes choose the images, each alone and together, and all can be taken back."""
    seen = look(f"train={TRAIN}", f"val={VAL}")
    seen.fill("#search", "HARBOUR")
    seen.wait_for_selector("#count:text-is('2 of 16 images')")
    assert names(seen) == ["harbour/quay 1.jpg", "harbour/quay 2.final.jpg"]
    seen.fill("#search", "no such image")
    seen.wait_for_selector("#nothing:not([hidden])")
    seen.click("#reset")
    assert len(names(seen)) == 16
    seen.select_option("#finding", label="box-outside-image (1)")
    assert names(seen) == ["market/back lane/crossing at noon.jpeg"]
    seen.select_option("#finding", label="without boxes (4)")
    seen.select_option("#split", label="val")
    assert len(names(seen)) == 1
    seen.select_option("#finding", "-1")
    seen.select_option("#split", "-1")
    seen.click("#none")
    seen.check("#class-list label:has-text('fruit stall') input")
    seen.check("#only")
    sources = [json.loads(path.read_text(encoding="utf-8")) for path in (TRAIN, VAL)]
    having = []
    for source in sources:
        wanted = {category["id"] for category in source["categories"] if category["name"] == "fruit stall"}
        owners = {one["image_id"] for one in source["annotations"] if one["category_id"] in wanted}
        having += [image["file_name"] for image in source["images"] if image["id"] in owners]
    assert names(seen) == having


def test_boxes_lie_where_they_belong(look: Callable[..., Seen]) -> None:
    """In the viewer every box has the place and size of its numbers, and goes with the switch of its class."""
    seen = look(TRAIN)
    seen.click("#grid .tile >> nth=0")
    source = json.loads(TRAIN.read_text(encoding="utf-8"))
    image = source["images"][0]
    boxes = [one for one in source["annotations"] if one["image_id"] == image["id"]]
    ground = seen.evaluate("(({x, y, width}) => [x, y, width])(document.querySelector('.ground').getBBox())")
    scale = ground[2] / image["width"]
    drawn = seen.evaluate(
        "[...document.querySelectorAll('#stage .box')].map((one) => one.getBBox())"
        ".map((one) => [one.x, one.y, one.width, one.height])"
    )
    numbers_of = [[float(number) for number in one["bbox"]] for one in boxes]
    expected = [[x * scale + ground[0], y * scale + ground[1], w * scale, h * scale] for x, y, w, h in numbers_of]
    assert np.allclose(sorted(drawn), sorted(expected), atol=0.2)
    seen.keyboard.press("Escape")
    name = next(one["name"] for one in source["categories"] if one["id"] == boxes[0]["category_id"])
    seen.uncheck(f"#class-list label:has-text('{name}') input")
    seen.click("#grid .tile >> nth=0")
    left = sum(one["category_id"] != boxes[0]["category_id"] for one in boxes)
    assert len(seen.query_selector_all("#stage .box")) == left < len(boxes)


def test_keyboard(look: Callable[..., Seen]) -> None:
    """The page works without a mouse: / searches, arrows move, Enter opens, arrows turn over, Escape closes."""
    seen = look(TRAIN)
    focused = "document.activeElement.title || document.activeElement.id"
    seen.keyboard.press("/")
    assert seen.evaluate(focused) == "search"
    seen.keyboard.type("quay")
    seen.keyboard.press("Enter")
    assert seen.evaluate(focused) == "harbour/quay 1.jpg"
    assert seen.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)") >= 2
    seen.keyboard.press("Enter")
    assert seen.inner_text("#viewer-name") == "harbour/quay 1.jpg"
    seen.keyboard.press("ArrowRight")
    seen.keyboard.press("ArrowRight")
    assert seen.inner_text("#viewer-name") == "harbour/quay 2.final.jpg"
    seen.keyboard.press("Escape")
    assert not seen.evaluate("document.getElementById('viewer').open")
    seen.wait_for_selector("#grid .tile[title='harbour/quay 2.final.jpg']:focus")
    seen.keyboard.press("ArrowLeft")
    assert seen.evaluate(focused) == "harbour/quay 1.jpg"
    seen.keyboard.press("/")
    seen.keyboard.press("Escape")
    assert seen.evaluate("[document.getElementById('search').value, document.getElementById('count').value]") == [
        *("", "12 images")
    ]
    seen.focus("#grid .tile >> nth=0")
    seen.keyboard.press("End")
    assert seen.evaluate(focused) == "empty/night.jpg"


def test_hostile_names_run_nothing(look: Callable[..., Seen], tmp_path: Path) -> None:
    """Names that would be scripts are shown as what they are, wherever the page has them, and nothing runs."""
    seen = look(hostile(tmp_path))
    assert names(seen) == list(HOSTILE)
    seen.click("#grid .tile >> nth=0")
    for name in HOSTILE:
        assert seen.evaluate("document.getElementById('viewer-name').textContent") == name
        assert name in seen.evaluate("document.getElementById('objects').textContent")
        seen.keyboard.press("ArrowRight")
    seen.keyboard.press("Escape")
    labels = seen.evaluate("[...document.querySelectorAll('#class-list .name')].map((one) => one.textContent)")
    assert sorted(labels) == sorted(HOSTILE)
    assert seen.evaluate("typeof window.hit") == "undefined"
    assert seen.evaluate("document.querySelectorAll('script').length") == 3


def test_the_policy_holds(look: Callable[..., Seen]) -> None:
    """What somebody might get into the page is stopped by its policy: scripts, handlers, styles and requests."""
    seen = look(TRAIN)
    tried = """async () => {
        const script = document.createElement("script");
        try { script.textContent = "window.hit = 1"; } catch {}
        document.body.append(script);
        try { document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.hit = 2'>"); } catch {}
        const style = document.createElement("style");
        style.textContent = "body { color: rgb(1, 2, 3) }";
        document.body.append(style);
        const asked = await fetch("https://example.org/").then(() => "answered", () => "refused");
        return [typeof window.hit, getComputedStyle(document.body).color === "rgb(1, 2, 3)", asked];
    }"""
    assert seen.evaluate(tried) == ["undefined", False, "refused"]
    assert seen.said
    seen.said.clear()


def test_dark(look: Callable[..., Seen]) -> None:
    """The page is dark where the reader's system is, and the switch turns it over, either way."""
    light = "getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).slice(0, 3).every((n) => n > 127)"
    seen = look(TRAIN)
    for scheme in ("dark", "light"):
        seen.emulate_media(color_scheme=scheme)
        assert seen.evaluate(light) is (scheme == "light")
        seen.click("#theme")
        assert seen.evaluate(light) is (scheme == "dark")
        assert seen.inner_text("#theme") == scheme.title()
        seen.evaluate("delete document.documentElement.dataset.theme")


def test_narrow(look: Callable[..., Seen], tmp_path: Path) -> None:
    """On a phone nothing passes the right edge, whatever names there are."""
    bboxconv.convert(TRAIN, tmp_path / "yolo", to="yolo")
    seen = look(TRAIN, tmp_path / "yolo", width=400)
    assert seen.evaluate("document.scrollingElement.scrollWidth") <= 400


def test_many_images(look: Callable[..., Seen], tmp_path: Path) -> None:
    """Of 8,000 images only those near the window are in the page, and the last is one key away."""
    images = [{"id": at, "file_name": f"{at:06}.jpg", "width": 640, "height": 480} for at in range(8_000)]
    boxes = [{"id": at, "image_id": at, "category_id": 1, "bbox": [10, 10, 50, 50]} for at in range(8_000)]
    seen = look(coco(tmp_path / "a.json", images, boxes, [{"id": 1, "name": "cat"}]))
    assert len(names(seen)) < 60
    seen.focus("#grid .tile >> nth=0")
    seen.keyboard.press("End")
    assert seen.evaluate("document.activeElement.title") == "007999.jpg"
    shown = "(({top, bottom}) => top >= 0 && bottom <= innerHeight)(document.activeElement.getBoundingClientRect())"
    assert seen.evaluate(shown)
    seen.keyboard.press("PageUp")
    assert 0 < len(names(seen)) < 60
    assert seen.evaluate("document.activeElement.title") < "007999.jpg"
