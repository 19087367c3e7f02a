"""`bboxconv boxes`: rows of numbers in, rows of numbers out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from .conftest import Shell


def test_stdin_to_stdout(anywhere: Shell) -> None:
    """Rows from stdin go to stdout with the separator they came with, and the count to stderr."""
    done = anywhere("boxes", "--from", "corner", "--to", "center", stdin="10 20  110 70\n\n# note\n0 0 1 1\n")
    assert (done.out, done.err, done.code) == (
        "60 45 100 50\n0.5 0.5 1 1\n",
        "done: 2 boxes, corner -> center, stdout\n",
        0,
    )


def test_header_and_other_columns(shell: Shell) -> None:
    """A header gets the new names, and the columns beside the box stay."""
    rows = "image,x1,y1,x2,y2,name\na.jpg,1,2,3,4,cat\nb.jpg,5,6,7,8.5,a dog\n"
    done = shell("boxes", "-q", "--from", "xyxy", "--to", "yolo", "--image-size", "10x20", "--column", "2", stdin=rows)
    assert done.out == "image,cx,cy,w,h,name\na.jpg,0.2,0.15,0.2,0.1,cat\nb.jpg,0.6,0.3625,0.2,0.125,a dog\n"
    assert (done.err, done.code) == ("", 0)


def test_nothing_in_nothing_out(shell: Shell) -> None:
    """Empty input is no fault."""
    done = shell("boxes", "--from", "xyxy", "--to", "xywh")
    assert (done.out, done.err, done.code) == ("", "done: 0 boxes, xyxy -> xywh, stdout\n", 0)


def test_every_bad_row_is_named(anywhere: Shell) -> None:
    """Rows that hold no box are all named by line; the file is not written; exit 1."""
    (anywhere.folder / "rows.csv").write_text("1,2,3,4\n1,2,3\n1,2,x,4\n1,2,3,4,5\n1,2,,4\n")
    done = anywhere("boxes", "rows.csv", "out.csv", "--from", "xyxy", "--to", "xywh")
    assert done.err == (
        "error[bad-row]: a row must have 4 numbers\n"
        "  rows.csv:2: 3 columns\n"
        "error[bad-number]: not a number (2 times)\n"
        "  rows.csv:3: x\n"
        "  rows.csv:5: empty\n"
        "error[bad-row]: a row must have as many columns as the first, 4\n"
        "  rows.csv:4: 5 columns\n"
        "refused: 4 errors\n"
    )
    assert (done.out, done.code) == ("", 1)
    assert not (anywhere.folder / "out.csv").exists()


def test_npy(shell: Shell, tmp_path: Path) -> None:
    """npy files of any leading axes are read and written as numpy does."""
    boxes = np.array([[[10, 20, 110, 70]], [[0, 0, 1, 3]]])
    np.save(tmp_path / "in.npy", boxes)
    assert shell("boxes", "in.npy", "out.npy", "-f", "xyxy", "-t", "xywh").code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), [[10, 20, 100, 50], [0, 0, 1, 3]])
    assert shell("boxes", "out.npy", "-q", "-f", "xywh", "-t", "xyxy").out == "10,20,110,70\n0,0,1,3\n"


def test_large_text_agrees_with_numpy(shell: Shell, tmp_path: Path) -> None:
    """Text of several blocks gives what numpy computes, row for row."""
    corners = np.random.default_rng(0).random((200_000, 4)).round(6)
    np.savetxt(tmp_path / "in.csv", corners, fmt="%.6f", delimiter=",")
    assert shell("boxes", "in.csv", "out.npy", "-f", "xyxy", "-t", "xywh").code == 0
    expected = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["-t", "xywh"],
            "error[missing-option]: boxes needs --from BOX\n  hint: for example --from corner --to center\n",
        ),
        (
            ["-f", "xyxy", "-t", "centre"],
            "error[unknown-box-format]: --to: unknown box format 'centre'\n  hint: did you mean 'center'?\n",
        ),
        (
            ["-f", "xyxy", "-t", "yolo"],
            "error[missing-image-size]: xyxy to cxcywhn needs the image size\n  hint: --image-size WxH gives it\n",
        ),
        (
            ["-f", "xyxy", "-t", "yolo", "--image-size", "640"],
            "error[bad-option-value]: --image-size takes WIDTHxHEIGHT in pixels, such as 640x480, not '640'\n",
        ),
        (["nix.csv", "-f", "xyxy", "-t", "xywh"], "error[path-not-found]: there is no nix.csv\n"),
        (
            ["a.json", "a.json", "-f", "xyxy", "-t", "xywh"],
            "error[output-exists]: the output exists\n  a.json\n  hint: --overwrite replaces it\n",
        ),
    ],
)
def test_wrong_calls(words: list[str], message: str, shell: Shell) -> None:
    """A wrong call says what is wrong with which flag, and exits 2."""
    done = shell("boxes", *words, stdin="1 2 3 4\n")
    assert (done.out, done.err, done.code) == ("", message, 2)
