"""The formats that are installed: listing, names, detection, destinations, options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from plugins import FORMAT, install

from bboxconv import registry
from bboxconv.codec import Option, Source
from bboxconv.errors import BboxconvError, DataError, UsageError

BUILT_IN = ("coco", "csv", "hf", "jsonl", "parquet", "voc", "yolo")
INCOMPLETE = "it has no detect, or neither read nor target and write"
Install = Callable[..., None]


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a package with one format: its entry point's name, the text of its module, and the package's name."""

    def put(name: str, text: str, distribution: str = "stranger") -> None:
        module = f"plugin_{distribution}_{name}_{tmp_path.parent.name}_{tmp_path.name}".replace("-", "_")
        folder = install(tmp_path / distribution, distribution, {name: module}, {module: text})
        monkeypatch.syspath_prepend(folder)

    return put


def listing(name: str) -> registry.Listing:
    """The one listing of a name."""
    (found,) = [found for found in registry.formats() if found.name == name]
    return found


def refusal(error: pytest.ExceptionInfo[BboxconvError]) -> tuple[str, str, tuple[str, ...], str]:
    """Code, message, places and hint of an error with one diagnostic."""
    (found,) = error.value.diagnostics
    return found.code, found.message, found.where, found.hint


def others_work() -> bool:
    """Whether the formats that come with bboxconv can be used."""
    return all(registry.writer(name).INFO.name == registry.reader(name).INFO.name == name for name in BUILT_IN)


class TestListing:
    """What `formats` says."""

    def test_built_in_formats_read_and_write(self) -> None:
        """The formats that come with bboxconv are provided by its own distribution, and read and write."""
        found = [found for found in registry.formats() if found.distribution.startswith("bboxconv ")]
        assert tuple(found.name for found in found) == BUILT_IN
        assert all(found.reads and found.writes and not found.error for found in found)

    def test_names_load_no_format(self, stranger: Install) -> None:
        """Names come from the entry points alone: a module that cannot be loaded has one too."""
        stranger("boom", "raise RuntimeError('loaded')")
        assert "boom" in registry.names()

    def test_a_stranger_is_listed(self, stranger: Install) -> None:
        """A format of another package is listed with that package's name and version, and found by name and alias."""
        stranger("foo", FORMAT.format(name="foo", weight=1), "nice-package")
        found = listing("foo")
        assert (found.distribution, found.error, found.reads, found.writes) == ("nice-package 1.0", "", True, True)
        assert registry.writer("foo") is registry.reader("FOO-ALIAS")

    def test_one_way_formats(self, stranger: Install) -> None:
        """A module without write only reads; to write with it is an error that says so."""
        stranger("foo", FORMAT.format(name="foo", weight=1).replace("def write", "def _write"))
        assert (listing("foo").reads, listing("foo").writes) == (True, False)
        with pytest.raises(UsageError) as error:
            registry.writer("foo")
        assert refusal(error)[:2] == ("cannot-write", "the format 'foo' can be read but not written")

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
            ("raise ValueError('no luck')", "ValueError: no luck"),
            ("INFO = 'foo'", "it has no INFO of type bboxconv.codec.FormatInfo"),
            (FORMAT.format(name="bar", weight=1), "its INFO is named bar, its entry point foo"),
            (FORMAT.format(name="foo", weight=1).replace("def detect", "def _detect"), INCOMPLETE),
            (FORMAT.format(name="foo", weight=1).replace("def write", "def w").replace("read", "r"), INCOMPLETE),
            ("raise SystemExit(3)", "SystemExit: 3"),
        ],
    )  # fmt: skip
    def test_a_broken_plugin_is_listed_with_its_error(self, text: str, reason: str, stranger: Install) -> None:
        """A plugin that cannot be used is listed with the reason and its package, its use is refused, and the other
        formats go on working.
        """
        stranger("foo", text, "broken-package")
        found = listing("foo")
        assert (found.distribution, found.info, found.error) == ("broken-package 1.0", None, reason)
        with pytest.raises(UsageError) as error:
            registry.reader("foo")
        assert refusal(error)[:3] == (
            "broken-plugin",
            f"the format 'foo' cannot be used: {reason}",
            ("broken-package 1.0",),
        )
        assert others_work()

    def test_a_name_that_two_packages_give_is_an_error(self, stranger: Install) -> None:
        """Two packages with one format name are both listed as an error that names both, and neither is used."""
        stranger("foo", FORMAT.format(name="foo", weight=1), "one")
        stranger("foo", FORMAT.format(name="foo", weight=1), "two")
        found = [found for found in registry.formats() if found.name == "foo"]
        assert [f.distribution for f in found] == ["one 1.0", "two 1.0"]
        assert {f.error for f in found} == {"the name is provided more than once: one 1.0, two 1.0"}
        with pytest.raises(UsageError, match="broken-plugin"):
            registry.writer("foo")
        assert others_work()


class TestNames:
    """Formats by name."""

    @pytest.mark.parametrize("name", ["coco", "COCO", "coco-json", "pascal_voc", "ndjson", "ultralytics"])
    def test_names_and_aliases(self, name: str) -> None:
        """A format is found by its name or an alias, whatever the case of letters."""
        assert registry.reader(name).INFO.name in BUILT_IN

    def test_capital_letters_of_a_plugin(self, stranger: Install) -> None:
        """A plugin whose own name has capital letters is found by it."""
        stranger("MyFmt", FORMAT.format(name="MyFmt", weight=1))
        assert registry.reader("MyFmt").INFO.name == "MyFmt"

    @pytest.mark.parametrize(("name", "meant"), [("coc", "coco"), ("paquet", "parquet"), ("jsnol", "jsonl")])
    def test_did_you_mean(self, name: str, meant: str) -> None:
        """An unknown format is refused with the one that may have been meant."""
        with pytest.raises(UsageError) as error:
            registry.reader(name)
        code, message, _, hint = refusal(error)
        assert (code, message) == ("unknown-format", f"there is no format {name!r}")
        assert f"did you mean {meant!r}?" in hint.lower()

    def test_nothing_alike(self) -> None:
        """A name like none of the formats is refused with the list of them."""
        with pytest.raises(UsageError) as error:
            registry.writer("zzzzzzzz")
        assert refusal(error)[3] == "known formats: " + ", ".join(registry.names())


class TestDetection:
    """Formats by content."""

    def file(self, tmp_path: Path, content: bytes) -> Source:
        """A file with that content."""
        path = tmp_path / "data"
        path.write_bytes(content)
        return Source(path)

    def test_the_heaviest_match_wins(self, stranger: Install, tmp_path: Path) -> None:
        """Of two formats that fit, the one that is surer by 0.15 or more is taken."""
        stranger("foo", FORMAT.format(name="foo", weight=0.9), "one")
        stranger("fo", FORMAT.format(name="fo", weight=0.7), "two")
        module, match = registry.detect(self.file(tmp_path, b"foo"))
        assert (module.INFO.name, match.evidence) == ("foo", "starts with foo")

    def test_doubt_asks(self, stranger: Install, tmp_path: Path) -> None:
        """Where two formats fit about as well, the user is asked, with what each of them saw."""
        stranger("foo", FORMAT.format(name="foo", weight=0.9), "one")
        stranger("fo", FORMAT.format(name="fo", weight=0.8), "two")
        source = self.file(tmp_path, b"foo")
        with pytest.raises(UsageError) as error:
            registry.detect(source)
        places = (f"{source.path}: foo: starts with foo; fo: starts with fo",)
        assert refusal(error) == ("ambiguous-format", "more than one format fits", places, "--from FORMAT says which")

    @pytest.mark.parametrize(
        ("content", "message"), [(b"", "the file is empty"), (b"\x00\x01", "no format recognises this file")]
    )
    def test_unknown_content(self, content: bytes, message: str, tmp_path: Path) -> None:
        """Content that no format knows is refused with its place."""
        source = self.file(tmp_path, content)
        with pytest.raises(DataError) as error:
            registry.detect(source)
        assert refusal(error)[:3] == ("unknown-content", message, (str(source.path),))

    def test_a_folder_of_nothing(self, tmp_path: Path) -> None:
        """An empty folder is refused as a folder."""
        with pytest.raises(DataError) as error:
            registry.detect(Source(tmp_path))
        assert refusal(error)[1] == "no format recognises this folder"

    def test_a_detect_that_raises_does_not_stop_the_others(self, stranger: Install, tmp_path: Path) -> None:
        """A plugin whose detect fails does not keep the other formats from being detected."""
        stranger(
            "foo",
            FORMAT.format(name="foo", weight=1).replace(
                "    return Match", "    raise RuntimeError('no')\n    return Match"
            ),
        )
        source = self.file(tmp_path, b'{"images": [], "annotations": [], "categories": []}')
        assert registry.detect(source)[0].INFO.name == "coco"


class TestDestinations:
    """Formats by the name of what is to be written."""

    @pytest.mark.parametrize(
        ("dst", "name"),
        [
            ("a.json", "coco"), ("a.JSON", "coco"), ("a.json.gz", "coco"), ("a.json.zst", "coco"), ("a.jsonl", "jsonl"),
            ("b.ndjson.gz", "jsonl"),
            ("x/a.parquet", "parquet"), ("a.pq", "parquet"), ("yolo/", "yolo"), ("yolo", "yolo"),
            ("street-voc", "voc"), ("data/my_coco_set", "coco"), ("YOLO11", "yolo"), ("out.voc", "voc"),
            ("voc2012", "voc"), ("data/coco2017/", "coco"), ("street-hf/", "hf"), ("huggingface", "hf"), ("a.hf", "hf"),
        ],
    )  # fmt: skip
    def test_extension_or_word(self, dst: str, name: str) -> None:
        """The extension says the format, also before that of compression, else a word of the folder's name does."""
        assert registry.by_destination(dst).INFO.name == name

    @pytest.mark.parametrize("dst", ["out", "out/", "a.txt", "invoca", "a.json/"])
    def test_a_name_that_says_none(self, dst: str) -> None:
        """A destination that says no format is refused with what would say it."""
        with pytest.raises(UsageError) as error:
            registry.by_destination(dst)
        code, message, places, hint = refusal(error)
        assert (code, message, places) == ("unknown-target", "the destination does not say its format", (dst,))
        names = "(extensions: .csv .hf .json .jsonl .ndjson .parquet .pq"
        assert hint.startswith(f"--to FORMAT says it, or a name such as boxes.parquet or yolo/ {names}")

    def test_a_name_that_says_two(self) -> None:
        """A destination that says two formats is refused, and both are named."""
        with pytest.raises(UsageError) as error:
            registry.by_destination("coco-to-yolo")
        message = "the name of the destination holds those of several formats: coco, yolo"
        assert refusal(error) == ("unknown-target", message, ("coco-to-yolo",), "--to FORMAT says which")

    def test_a_strangers_extension(self, stranger: Install) -> None:
        """The extension of a stranger's format says it too; one that two formats have says none."""
        stranger("foo", FORMAT.format(name="foo", weight=1), "one")
        assert registry.by_destination("a.foo").INFO.name == "foo"
        stranger("bar", FORMAT.format(name="bar", weight=1).replace('".bar"', '".foo"'), "two")
        with pytest.raises(UsageError):
            registry.by_destination("a.foo")


class TestOptions:
    """Options of one format."""

    KNOWN = (
        Option("origin", "0", "", ("0", "1")),
        Option("decimals", "full", "", pattern="full|[0-9]"),
        Option("header", "", ""),
    )

    def test_defaults_complete_what_is_given(self) -> None:
        """What is not given has its default."""
        assert registry.options_of({"origin": "1"}, self.KNOWN, "in", "foo") == {
            "origin": "1",
            "decimals": "full",
            "header": "",
        }

    def test_every_fault_is_told(self) -> None:
        """Unknown options and values that are not allowed are all told at once, with what may have been meant."""
        with pytest.raises(UsageError) as error:
            registry.options_of({"orign": "1", "origin": "2", "decimals": "many"}, self.KNOWN, "out", "foo")
        assert [(found.code, found.message) for found in error.value.diagnostics] == [
            ("unknown-option", "foo has no option 'orign' for --out"),
            ("bad-option", "'2' is no value of --out origin"),
            ("bad-option", "'many' is no value of --out decimals"),
        ]
        assert "'origin'" in error.value.diagnostics[0].hint
        assert error.value.diagnostics[1].hint == "allowed: 0, 1"
