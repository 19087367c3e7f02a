"""Fuzz one reader, guided by coverage: python tests/fuzz/fuzz.py TARGET [CORPUS...] [libFuzzer flags].

Needs atheris, in an environment of its own: pip install atheris and bboxconv. The seeds of `corpus/TARGET` are always
used; what is found worth keeping goes to the first CORPUS. A finding ends the run and is left as `crash-*`: once it is
fixed it belongs into `corpus/TARGET`, where test_fuzz.py holds it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris  # type: ignore[import-not-found]

HERE = Path(__file__).parent


def main() -> None:
    """Fuzz until a flag such as -max_total_time=1800 ends it."""
    name, *rest = sys.argv[1:]
    with atheris.instrument_imports(include=["bboxconv"]):
        from targets import TARGETS
    seeds = HERE / "corpus" / name
    atheris.Setup([sys.argv[0], *rest, str(seeds)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
