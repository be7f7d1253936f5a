"""Rules that choose layers from their scores."""

import pytest

from sae_merge_method.errors import UsageError
from sae_merge_method.selection import parse_rule, select_layers

SCORES = {0: 0.1, 1: 0.9, 2: 0.85, 3: 0.2, 4: 0.9}


@pytest.mark.parametrize(
    ("rule", "chosen"),
    [
        ("top_k=1", (1,)),
        ("top_k=3", (1, 2, 4)),
        ("threshold=0.85", (1, 2, 4)),
        ("threshold=2", ()),
        ("fdr=0.05", (1, 4)),
        ("elbow", (1, 2, 4)),
        ("layers=0,2-4", (0, 2, 3, 4)),
    ],
)
def test_each_rule_chooses_what_it_says(rule, chosen):
    q_values = {0: 0.9, 1: 0.01, 2: 0.06, 3: 0.5, 4: 0.05}
    assert select_layers(parse_rule(rule), SCORES, q_values) == chosen
    assert str(parse_rule(rule)) == rule


@pytest.mark.parametrize(
    "rule", ["top_k=1000000", "threshold=0.123456789", "threshold=1e-07", "threshold=-2", "fdr=0.3", "elbow"]
)
def test_a_rule_is_written_as_it_is_read_to_the_last_digit(rule):
    assert parse_rule(str(parse_rule(rule))) == parse_rule(rule)
    assert str(parse_rule(rule)) == rule


def test_one_layer_alone_is_above_the_gap():
    assert select_layers(parse_rule("elbow"), {7: 0.3}) == (7,)


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "top_k",
        "top_k=0",
        "top_k=x",
        "threshold=nan",
        "fdr=1.5",
        "threshold=inf",
        "fdr=0",
        "elbow=3",
        "elbow=",
        "best=4",
        "layers=",
        "top_k=1=2",
    ],
)
def test_a_malformed_rule_is_refused(rule):
    with pytest.raises(UsageError):
        parse_rule(rule)


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ("best=4", "expected top_k=6, threshold=0.8, fdr=0.05, elbow or layers=9,11-13"),
        ("top_k=0", "expected a whole number of at least 1 behind top_k=, such as top_k=6"),
        ("fdr=1", "expected a number between 0 and 1 behind fdr=, such as fdr=0.05"),
        ("threshold=x", "expected a finite number behind threshold="),
        ("elbow=3", "the rule elbow takes no value, got 'elbow=3'"),
    ],
)
def test_a_refusal_says_what_was_expected(rule, complaint):
    with pytest.raises(UsageError) as caught:
        parse_rule(rule)
    assert complaint in str(caught.value)


def test_a_rule_cannot_ask_for_what_was_not_scored():
    with pytest.raises(UsageError, match=r"top_k=6 asks for more layers than have a score \(5\)"):
        select_layers(parse_rule("top_k=6"), SCORES)
    with pytest.raises(UsageError, match="no score for layers 7"):
        select_layers(parse_rule("layers=1,7"), SCORES)
    with pytest.raises(UsageError, match="needs q-values"):
        select_layers(parse_rule("fdr=0.05"), SCORES)
