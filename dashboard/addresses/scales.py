"""The radii of each norm."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """The radii of one norm.

    grid    radii of every curve; others are added to it one at a time. tight: those of them that slow
            certificates are computed at; what is proved there holds at every smaller radius.
    ranges  how far the chart can go, as in the URL.
    most    the largest radius there is. eps, upto: what the page opens with.
    """

    step: float
    ranges: tuple[str, ...]
    most: float
    eps: float
    upto: str

    @property
    def grid(self) -> tuple[float, ...]:
        return tuple(round(self.step * i, 2) for i in range(31))

    @property
    def tight(self) -> tuple[float, ...]:
        return tuple(self.grid[i] for i in (1, 2, 3, 5, 7, 10, 12, 15, 20, 25, 30))


SCALES = {
    "linf": Scale(0.01, ("0.05", "0.15", "0.3"), 1.0, 0.05, "0.15"),
    # No two of the images, 28 x 28, are farther apart than 28.
    "l2": Scale(0.02, ("0.1", "0.3", "0.6"), 28.0, 0.2, "0.3"),
}
