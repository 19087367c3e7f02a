"""A path for what comes from standard input or goes to standard output: formats want a file that has a name.

The bytes lie in a file without a name, which goes with the process however that ends; the path is a link to it under
/proc, and where there is none, a file. Its folder is locked as long as a run uses it: the next run that needs one
removes what is left of those that were killed.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from bboxconv import lock
from bboxconv.errors import OutputError
from bboxconv.shelf import Unnamed

_PREFIX = "bboxconv-stream-"


@contextmanager
def passing(name: str) -> Iterator[Path]:
    """The path of an empty file of that name, in a folder of its own, as long as the block lasts. Raises OutputError
    where the folder for temporary files takes none."""
    held = Unnamed.open()
    place = Path(held.folder)
    _clear(place)
    with ExitStack() as undo:
        own = lock.take(place / f"{_PREFIX}{secrets.token_hex(8)}", name)
        undo.callback(_remove, own)
        path = own.folder / name
        if held.shelf.path:
            path.symlink_to(held.shelf.path)
        else:
            path.touch()
        yield path


def _clear(place: Path) -> None:
    """Remove what killed runs left."""
    for folder in place.glob(f"{_PREFIX}*"):
        with suppress(OutputError, OSError):  # a run that lives has it, or another user
            _remove(lock.take(folder, folder.name))


def _remove(own: lock.Lock) -> None:
    shutil.rmtree(own.folder, ignore_errors=True)
    own.release()
