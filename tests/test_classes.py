"""Classes: uniting sources, renaming, leaving out, pinning, and the files that say so."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bboxconv.boxes import BoxFormat
from bboxconv.classes import plan, remap, unite
from bboxconv.classfiles import read_map, read_names
from bboxconv.errors import Findings, UsageError
from bboxconv.schema import Category, Header, bbox_array, flat, image_batch, object_rows
from bboxconv.suggest import did_you_mean

CATEGORIES = (Category("dog", 1, "animal"), Category("cat", 3, "animal"), Category("kitten", 7), Category("car", 9))


def header(*categories: Category | str) -> Header:
    """A header of classes, given as categories or as names without ids."""
    return Header(BoxFormat("xywh"), tuple(Category(c) if isinstance(c, str) else c for c in categories))


def united(*headers: Header) -> tuple[list[tuple[str, int | None]], list[list[int]], Findings]:
    """The names and ids of the union, the index maps, and what was found."""
    findings = Findings()
    categories, maps = unite(headers, findings)
    return [(c.name, c.id) for c in categories], [m.tolist() for m in maps], findings


class TestUnite:
    """One list of classes for several sources."""

    def test_names_in_another_order_are_the_same_classes(self) -> None:
        """The same names in another order in a later source map to the first source's classes."""
        names, maps, findings = united(header("dog", "cat"), header("cat", "dog"))
        assert names == [("dog", None), ("cat", None)]
        assert maps == [[0, 1], [1, 0]]
        assert list(findings) == []

    def test_ids_give_the_order(self) -> None:
        """Where every class has an id of its own, the union stands by id."""
        names, maps, _ = united(
            header(Category("car", 9), Category("dog", 2)), header(Category("cat", 5), Category("dog", 2))
        )
        assert names == [("dog", 2), ("cat", 5), ("car", 9)]
        assert maps == [[2, 0], [1, 0]]

    def test_sorted_names_without_ids_stay_sorted(self) -> None:
        """Sources without ids that each stand in code-point order give a union in code-point order: capitals
        first.
        """
        names, maps, _ = united(header("Zebra", "cat"), header("Ape", "dog"))
        assert [name for name, _ in names] == ["Ape", "Zebra", "cat", "dog"]
        assert maps == [[1, 2], [0, 3]]

    def test_other_lists_stand_by_first_appearance(self) -> None:
        """Names without ids in no order are taken as they come."""
        names, maps, _ = united(header("dog", "cat"), header("ape", "dog"))
        assert [name for name, _ in names] == ["dog", "cat", "ape"]
        assert maps == [[0, 1], [2, 0]]

    def test_one_list_stays_as_it_is(self) -> None:
        """Sources that all have the same list keep its order, even if it is not by id."""
        one = header(Category("b", 7), Category("a", 2))
        names, maps, _ = united(one, one)
        assert names == [("b", 7), ("a", 2)]
        assert maps == [[0, 1], [0, 1]]

    def test_another_id_of_a_class_is_reported(self) -> None:
        """A class with another id in a later source keeps the first id, and a warning says where."""
        names, maps, findings = united(header(Category("dog", 1)), header(Category("dog", 18)))
        assert (names, maps) == ([("dog", 1)], [[0], [0]])
        (warning,) = findings
        assert (warning.code, warning.severity, warning.count) == ("category-id-changed", "warning", 1)
        assert warning.where == ("source 2: 'dog' has id 18 here, 1 before",)

    def test_a_taken_id_is_left_out(self) -> None:
        """An id that stands for another class already is not taken over, and a warning says so."""
        names, maps, findings = united(header(Category("dog", 1)), header(Category("cat", 1)))
        assert (names, maps) == ([("dog", 1), ("cat", None)], [[0], [1]])
        assert [d.where for d in findings] == [("source 2: id 1 of 'cat' belongs to 'dog'",)]

    def test_equal_names_within_a_source_stay_apart(self) -> None:
        """Two classes of one name in a source stay two, and a later source finds them by id."""
        names, maps, findings = united(
            header(Category("person", 1), Category("person", 5)), header(Category("person", 5), Category("person", 1))
        )
        assert names == [("person", 1), ("person", 5)]
        assert maps == [[0, 1], [1, 0]]
        assert list(findings) == []

    def test_what_the_first_source_lacks_comes_from_a_later_one(self) -> None:
        """A class without id and supercategory takes those of a later source."""
        categories, _ = unite([header("dog"), header(Category("dog", 4, "animal", '{"a":1}'))], Findings())
        assert categories == (Category("dog", 4, "animal", '{"a":1}'),)

    def test_no_source_has_no_class(self) -> None:
        """No source at all is an empty list."""
        assert unite([], Findings()) == ((), [])


class TestPlan:
    """Renaming, including, excluding and pinning."""

    def test_nothing_asked_changes_nothing(self) -> None:
        """Without an option every class stays, equal names too."""
        twins = (*CATEGORIES, Category("dog", 11))
        result = plan(twins)
        assert result.categories == twins
        assert result.index.tolist() == [0, 1, 2, 3, 4]
        assert result.index.dtype == np.int32

    def test_merging_keeps_the_class_that_had_the_name(self) -> None:
        """Renaming onto an existing class keeps that class's id and place, wherever it stands."""
        result = plan(CATEGORIES[::-1], class_map={"kitten": "cat"})
        assert result.categories == (CATEGORIES[3], CATEGORIES[1], CATEGORIES[0])
        assert result.index.tolist() == [0, 1, 1, 2]

    def test_merging_into_a_new_name_keeps_the_first(self) -> None:
        """Classes renamed to a new name become one with the first one's id and supercategory."""
        result = plan(CATEGORIES, class_map={"cat": "pet", "dog": "pet"})
        assert result.categories == (Category("pet", 1, "animal"), CATEGORIES[2], CATEGORIES[3])
        assert result.index.tolist() == [0, 0, 1, 2]

    def test_renaming_happens_at_once(self) -> None:
        """Two names may be swapped."""
        result = plan(CATEGORIES, class_map={"dog": "cat", "cat": "dog"})
        assert [(c.name, c.id) for c in result.categories][:2] == [("cat", 1), ("dog", 3)]
        assert result.index.tolist() == [0, 1, 2, 3]

    def test_include_and_exclude_take_new_names(self) -> None:
        """Classes are included and excluded by the names that they have after renaming."""
        result = plan(CATEGORIES, class_map={"kitten": "cat"}, include=("cat", "car"), exclude=("car",))
        assert result.categories == (CATEGORIES[1],)
        assert result.index.tolist() == [-1, 0, 0, -1]

    def test_pinned_order(self) -> None:
        """A pinned list gives its order and its length, whatever the data holds; ids stay with their names."""
        result = plan(CATEGORIES, classes=("bus", "cat", "dog", "kitten", "car"), exclude=("dog",))
        assert [(c.name, c.id) for c in result.categories] == [
            ("bus", None),
            ("cat", 3),
            ("dog", 1),
            ("kitten", 7),
            ("car", 9),
        ]
        assert result.index.tolist() == [-1, 1, 3, 4]

    def test_pinning_joins_equal_names(self) -> None:
        """Two classes of one name are one class of a pinned list, with the first one's id."""
        result = plan((Category("dog", 5), Category("dog", 2)), classes=("cat", "dog"))
        assert result.categories == (Category("cat"), Category("dog", 5))
        assert result.index.tolist() == [1, 1]

    def test_a_class_that_the_pinned_list_lacks(self) -> None:
        """A class of the data that the pinned list lacks is refused, with the name that it may have meant."""
        with pytest.raises(UsageError) as caught:
            plan(CATEGORIES, classes=("dogs", "cat", "kitten"))
        assert str(caught.value) == (
            "error[unknown-class]: --classes lacks a class of the data: 'dog', 'car' (2 times)\n"
            "  hint: 'dog': did you mean 'dogs'?; 'car': did you mean 'cat'?; "
            "add it to the file, rename it with --class-map, or leave it out with --exclude-class"
        )

    def test_excluded_classes_need_no_place(self) -> None:
        """A class that is left out needs not stand in the pinned list."""
        assert plan(CATEGORIES, classes=("car",), include=("car",)).index.tolist() == [-1, -1, -1, 0]

    def test_unknown_names_are_all_said_at_once(self) -> None:
        """Every unknown name of every option is reported in one error, with a suggestion and the known names."""
        with pytest.raises(UsageError) as caught:
            plan(CATEGORIES, class_map={"Dog": "x"}, include=("kat",), exclude=("zzz",))
        assert str(caught.value) == (
            "error[unknown-class]: --class-map names a class that the data does not have: 'Dog'\n"
            "  hint: did you mean 'dog'? the classes are: 'dog', 'cat', 'kitten', 'car'\n"
            "error[unknown-class]: --include-class names a class that the data does not have: 'kat'\n"
            "  hint: did you mean 'cat'? the classes are: 'dog', 'cat', 'kitten', 'car'\n"
            "error[unknown-class]: --exclude-class names a class that the data does not have: 'zzz'\n"
            "  hint: the classes are: 'dog', 'cat', 'kitten', 'car'"
        )

    def test_many_known_names_are_cut(self) -> None:
        """A hint lists ten names and counts the rest."""
        with pytest.raises(UsageError) as caught:
            plan([Category(f"c{i:02}") for i in range(13)], include=("zzz",))
        assert caught.value.diagnostics[0].hint.endswith("'c08', 'c09' and 3 more")

    def test_a_pinned_name_twice(self) -> None:
        """A pinned list that holds a name twice is refused, as it gives the class two indices."""
        with pytest.raises(UsageError) as caught:
            plan((Category("a"),), classes=("a", "b", "a"))
        assert str(caught.value) == "error[duplicate-class]: --classes holds a name twice: 'a'"


def batch() -> pa.RecordBatch:
    """Four images: two boxes of classes 0 and 1, nobody looked, none, three boxes of classes 1, null, 2."""
    codes = pa.array([0, 1, 1, None, 2], pa.int32())
    boxes = bbox_array(np.arange(20, dtype=np.float64).reshape(5, 4))
    rows = object_rows({"category": codes, "bbox": boxes, "id": pa.array([1, 2, 3, 4, 5])}, 5)
    names = pa.array(["a", "b", "c", "d"])
    return image_batch({"file_name": names}, np.array([0, 2, 2, 2, 5]), rows, np.array([True, False, True, True]))


class TestRemap:
    """New class indices in a batch."""

    def test_classes_are_renumbered_and_left_out(self) -> None:
        """Objects of a class that is left out go, the others keep all they have, and every image stays."""
        changed, left = remap(batch(), np.array([4, -1, 0], np.int32))
        assert left == 2
        assert [
            [(o["id"], o["category"], o["bbox"][0]) for o in image or []] for image in changed["objects"].to_pylist()
        ] == [
            [(1, 4, 0.0)],
            [],
            [],
            [(4, None, 12.0), (5, 0, 16.0)],
        ]
        assert changed["objects"].is_valid().to_pylist() == [True, False, True, True]
        assert changed.schema == batch().schema

    def test_a_slice_is_remapped_as_a_slice(self) -> None:
        """The objects of a slice stay with their images."""
        changed, left = remap(batch().slice(2, 2), np.array([0, 2, 1], np.int32))
        assert left == 0
        assert flat(changed).offsets.tolist() == [0, 0, 3]
        assert flat(changed).column("id").to_pylist() == [3, 4, 5]
        assert flat(changed).column("category").to_pylist() == [2, None, 1]

    def test_the_identity_gives_the_batch_itself(self) -> None:
        """A map that changes nothing costs nothing."""
        one = batch()
        assert remap(one, np.arange(3, dtype=np.int32)) == (one, 0)


class TestReadNames:
    """The files of `--classes`."""

    @pytest.mark.parametrize(
        ("name", "text", "expected"),
        [
            ("a.txt", b"\xef\xbb\xbfdog  \r\n\r\nhot dog\r\n", ("dog", "hot dog")),
            ("obj.names", b"dog\ncat", ("dog", "cat")),
            ("a.yaml", b"- dog\n- no\n", ("dog", "no")),
            ("data.yaml", b"path: x\nnc: 2\nnames: [dog, 'yes']\n", ("dog", "yes")),
            ("data.yml", b"names:\n  0: dog\n  2: 01\n", ("dog", "1", "01")),
            ("a.yaml", b"1: cat\n0: dog\n", ("dog", "cat")),
            ("a.json", b'["dog", "cat"]', ("dog", "cat")),
            ("a.json", b'{"1": "cat", "0": "dog"}', ("dog", "cat")),
            ("a.json", b'{"names": {"1": "cat", "0": "dog"}, "nc": 2}', ("dog", "cat")),
            ("a.json", b'{"names": ["dog", "cat"]}', ("dog", "cat")),
            (
                "a.json",
                b'{"images": [{"id": 1}], "categories": [{"id": 9, "name": "b"}, {"id": 2, "name": "c"}]}',
                ("c", "b"),
            ),
            ("a.json", b'[{"name": "b"}, {"name": "a"}]', ("b", "a")),
            ("a.txt.gz", gzip.compress(b"dog\ncat\n"), ("dog", "cat")),
        ],
    )
    def test_every_kind_of_file(self, tmp_path: Path, name: str, text: bytes, expected: tuple[str, ...]) -> None:
        """Names are read in order from text, yaml, json and COCO files."""
        path = tmp_path / name
        path.write_bytes(text)
        assert read_names(path) == expected

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            ("a.txt", b"\n \n", "error[class-file]: the file holds no class name\n  {}"),
            ("a.txt", b"\xff\xfe", "error[bad-encoding]: the file is not UTF-8 text\n  {}\n  hint: save it as UTF-8"),
            (
                "a.yaml",
                b"names: dog\n",
                "error[class-file]: the file is neither a list of names nor a mapping of index to name\n  {}",
            ),
            (
                "a.yaml",
                b"- a\n- [b\n",
                "error[class-file]: the file is no YAML: expected ',' or ']', but got '<stream end>'\n  {}:3",
            ),
            ("a.yaml", b"- a\n-\n", "error[class-file]: class 1 has an empty name\n  {}"),
            (
                "a.yaml",
                b"names: {99999999: a}",
                "error[class-file]: '99999999' is no class index\n  {}\n  hint: names stand below `names:`, by index from 0",  # noqa: E501
            ),
            (
                "a.json",
                b'["a", 1]',
                "error[class-file]: Expected `str | object`, got `int` - at `$[1]`\n  {}\n"
                "  hint: a list of names, an object of index to name, or COCO categories",
            ),
            (
                "a.csv",
                b"a,b",
                "error[class-file]: the file is no list of class names\n  {}\n  hint: give a text, yaml or json file",
            ),
        ],
    )
    def test_what_is_refused(self, tmp_path: Path, name: str, text: bytes, message: str) -> None:
        """A file that holds no list of names is refused with the place."""
        path = tmp_path / name
        path.write_bytes(text)
        with pytest.raises(UsageError) as caught:
            read_names(path)
        assert str(caught.value) == message.format(path)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        """A file that does not exist is a usage error."""
        with pytest.raises(UsageError) as caught:
            read_names(tmp_path / "none.txt")
        assert str(caught.value) == f"error[path-not-found]: there is no such file\n  {tmp_path / 'none.txt'}"


class TestReadMap:
    """The entries of `--class-map`."""

    def test_pairs_and_files(self, tmp_path: Path) -> None:
        """Pairs and files of every kind are joined; a pair is cut at its first equals sign, files hold any name."""
        (tmp_path / "a.csv").write_bytes(b'\xef\xbb\xbfold,new\r\n"a=b, c", x\r\n\r\nd,x\r\n')
        (tmp_path / "b.csv").write_text("e,f\n")
        (tmp_path / "c.yaml").write_text("no: yes\n")
        (tmp_path / "d.json").write_text(json.dumps({"g": "h"}))
        entries = ["i=j=k", *(str(tmp_path / name) for name in ("a.csv", "b.csv", "c.yaml", "d.json"))]
        assert read_map(entries) == {"i": "j=k", "a=b, c": "x", "d": "x", "e": "f", "no": "yes", "g": "h"}

    def test_a_file_with_an_equals_sign(self, tmp_path: Path) -> None:
        """A path that exists is a file, even if its name holds an equals sign."""
        path = tmp_path / "v=1.csv"
        path.write_text("a,b\n")
        assert read_map([str(path)]) == {"a": "b"}

    @pytest.mark.parametrize(
        ("entry", "message"),
        [
            (
                "dog=",
                "error[class-map]: a class name is empty: 'dog' to ''\n  hint: --exclude-class 'dog' leaves a class out",  # noqa: E501
            ),
            ("=dog", "error[class-map]: a class name is empty: '' to 'dog'\n  hint: write old=new"),
            (
                "dog",
                "error[class-map]: 'dog' is no renaming of a class\n  hint: write old=new, or give a csv, yaml or json file",  # noqa: E501
            ),
            ("no.csv", "error[path-not-found]: there is no such file\n  no.csv"),
        ],
    )
    def test_what_is_refused(self, entry: str, message: str) -> None:
        """An entry that is neither a pair nor a file is refused."""
        with pytest.raises(UsageError) as caught:
            read_map([entry])
        assert str(caught.value) == message

    def test_faults_in_files_have_a_line(self, tmp_path: Path) -> None:
        """A row of three columns, an empty name and a second new name are refused with their lines."""
        path = tmp_path / "a.csv"
        for text, message in [
            ("old,new\n\na,b,c\n", "a row has 3 columns, not two: old,new\n  {}:3"),
            ("a,\n", "a class name is empty: 'a' to ''\n  {}:1\n  hint: --exclude-class 'a' leaves a class out"),
            ("a,b\na,c\n", "'a' has two new names: 'b' and 'c'\n  {}:2"),
        ]:
            path.write_text(text)
            with pytest.raises(UsageError) as caught:
                read_map([str(path)])
            assert str(caught.value) == "error[class-map]: " + message.format(path)


def test_did_you_mean() -> None:
    """The nearest known word is suggested, letter case aside; nothing where none is near."""
    assert did_you_mean("PERSN", ["Person", "car"]) == "did you mean 'Person'?"
    assert did_you_mean("zzz", ["Person", "car"]) == ""
