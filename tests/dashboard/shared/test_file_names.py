from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import Settings
from dashboard.addresses.kinds import Source
from dashboard.shared.file_names import MOST, file_name, of_image, of_models, of_question

SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")


def test_a_name_says_what_is_in_the_file():
    asked = of_question(Settings(norm="l2", side="upper", attack="strongest"), 0.25)
    name = file_name("csv", "elbo", *of_image(Digit(3)), of_models(("a-1", "runs/b")), *asked)
    assert name == "elbo-mnist-image-3-a-1-and-runs-b-likelihood-l2-raised-eps-0.25-strongest.csv"
    own = Digit(pixels=np.zeros(784, np.float32).tobytes())
    assert re.fullmatch(r"x-mnist-image-own-[0-9a-f]{12}\.png", file_name("png", "x", *of_image(own)))
    theirs = replace(Digit(1), source=Source("runs/cats", "seal", (3, 8, 8)))
    assert file_name("", *of_image(theirs)) == "runs-cats-image-1"
    assert "pgd" not in file_name("json", *of_question(Settings().proof, 0.1))


@given(some.lists(some.text(max_size=80), max_size=6))
def test_any_name_is_safe_and_short(parts: list[str]):
    name = file_name("csv", "rows", *parts)
    assert SAFE.fullmatch(name)
    assert ".." not in name
    assert len(name) <= MOST
    assert name.endswith(".csv")


def test_long_names_stay_apart():
    long = "x" * 400
    one, other = file_name("csv", long + "1"), file_name("csv", long + "2")
    assert one != other
    assert len(one) == len(other) == MOST
