"""Colors of classes: distinct for every reader, with the common kinds of color blindness too."""

from __future__ import annotations


def color(index: int) -> str:
    """The color `#rrggbb` of a class, by its index in the header; beyond those of the palette they recur."""
    return COLORS[index % len(COLORS)]


COLORS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442", "#882255", "#332288")
"""Those of Okabe and Ito, "Color Universal Design" (2008), but for their black, and two dark ones of Paul Tol's: these
are at least as far from the others as the others are from each other, in OKLab as normal eyes see it and as Machado's
model (2009) of the three kinds of color blindness does. A grey would be the pink to one of them.
"""
