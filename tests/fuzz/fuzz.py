"""Fuzz one reader, guided by coverage: python tests/fuzz/fuzz.py TARGET [CORPUS...] [libFuzzer flags].

Needs atheris, in an environment of its own: pip install atheris and bboxconv. The seeds of `corpus/TARGET` are always
used; what is found worth keeping goes to the first CORPUS, where one is named. A finding ends the run and is left as
`crash-*`: once it is fixed it belongs into `corpus/TARGET`, where test_fuzz.py holds it.
"""

from __future__ import annotations

import pkgutil
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import atheris  # type: ignore[import-not-found]

HERE = Path(__file__).parent
SECONDS = 5
"""Of processor time: what takes longer for some kilobytes is a finding, even where it ends."""

OTHERS = (
    *("bboxconv.__main__", "bboxconv.cli", "bboxconv.testing", "bboxconv.minibatch", "bboxconv.preload"),
    *("bboxconv.drawing", "bboxconv.pictures", "bboxconv.choosing"),
)
"""Modules that are not fuzzed; `preload` sets up a process in which memory is not searched for cycles, mini-batches
need torch in part, and pictures need Pillow."""


def main() -> None:
    """Fuzz until a flag such as -max_total_time=1800 ends it."""
    name, *rest = sys.argv[1:]
    sys.path.insert(0, str(HERE.parent))
    with atheris.instrument_imports(include=["bboxconv", "yaml"]):
        from fuzz.targets import TARGETS

        _load_all()
    dictionary = HERE / "dictionaries" / f"{name}.txt"
    flags = [f"-dict={dictionary}"] if dictionary.exists() else []
    found = [word for word in rest if not word.startswith("-")] or [tempfile.mkdtemp(prefix="bboxconv-fuzz-")]
    words = [*flags, *(word for word in rest if word.startswith("-")), *found, str(HERE / "corpus" / name)]
    atheris.Setup([sys.argv[0], *words], _timed(TARGETS[name]))
    atheris.Fuzz()


def _load_all() -> None:
    """Load what bboxconv loads where it is wanted: what is loaded later is not seen by the fuzzer."""
    import bboxconv

    for module in pkgutil.walk_packages(bboxconv.__path__, "bboxconv."):
        if not module.name.startswith(OTHERS):
            import_module(module.name)


def _timed(target: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        began = time.process_time()
        target(data)
        assert time.process_time() - began < SECONDS, "slow"

    return run


if __name__ == "__main__":
    main()
