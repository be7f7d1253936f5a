"""Estimates are held against what work takes, in the words of the estimate."""

import pytest
import torch

from sae_merge_method.foretold import Foretold, held_against, took

MIB = 1 << 20


def test_what_was_foretold_stands_beside_what_it_took() -> None:
    assert took(45, 940 * MIB, Foretold(12, 118 * MIB)) == (
        "took 45 s (about 12 s foretold) and at most 940 MiB beside the model (about 118 MiB foretold)"
    )
    assert took(45, 940 * MIB, Foretold()) == "took 45 s and at most 940 MiB beside the model"


def test_work_that_fails_took_nothing_worth_telling() -> None:
    told: list[str] = []
    with pytest.raises(KeyError), held_against(torch.device("cpu"), told.append):
        raise KeyError
    assert told == []
    with held_against(torch.device("cpu"), told.append) as foretold:
        foretold.seconds = 3
    (sentence,) = told
    assert "(about 3 s foretold)" in sentence
