"""Rules that choose layers from their scores."""

from statistics import median

import numpy as np
import pytest
from click.testing import CliRunner

from sae_merge_method.artifacts.draws import ScoreDraws, write_draws
from sae_merge_method.cli import diagnose, recipe, score, select
from sae_merge_method.errors import UsageError
from sae_merge_method.layers import format_layers, parse_units
from sae_merge_method.selection import RULES, Rule, agreement, choose_layers, overlap, parse_rule
from tests import tiny
from tests.diagnoses import save_diagnosis

SCORES = {0: 0.1, 1: 0.9, 2: 0.85, 3: 0.2, 4: 0.9}


@pytest.mark.parametrize(
    ("rule", "chosen"),
    [
        ("top_k=1", (1,)),
        ("top_k=3", (1, 2, 4)),
        ("top_k=5", (0, 1, 2, 3, 4)),
        ("top_k=2,gap=2", (1, 4)),
        ("top_k=2,gap=4", (0, 4)),
        ("spread=2", (1, 4)),
        ("spread=3", (0, 2, 4)),
        ("threshold=0.85", (1, 2, 4)),
        ("threshold=2", ()),
        ("differs=0.05", (1, 4)),
        ("elbow", (1, 2, 4)),
        ("layers=0,2-4", (0, 2, 3, 4)),
    ],
)
def test_each_rule_chooses_what_it_says(rule, chosen):
    q_values = {0: 0.9, 1: 0.01, 2: 0.06, 3: 0.5, 4: 0.05}
    assert choose_layers(parse_rule(rule), SCORES, q_values) == chosen
    assert str(parse_rule(rule)) == rule


MODULES = dict(zip(parse_units("0.attn, 0.mlp, 1.attn, 1.mlp, 2.mlp"), SCORES.values(), strict=True))


@pytest.mark.parametrize(
    ("rule", "chosen"),
    [
        ("top_k=1", "0.mlp"),
        ("top_k=3", "0.mlp, 1.attn, 2.mlp"),
        ("spread=2", "0.mlp, 2.mlp"),
        ("top_k=2,gap=2", "0.mlp, 2.mlp"),
        ("threshold=0.85", "0.mlp, 1.attn, 2.mlp"),
        ("elbow", "0.mlp, 1.attn, 2.mlp"),
        ("layers=1.attn,2.mlp", "1.attn, 2.mlp"),
    ],
)
def test_each_rule_chooses_among_parts_of_layers_as_among_layers(rule, chosen):
    assert format_layers(choose_layers(parse_rule(rule), MODULES)) == chosen
    assert str(parse_rule(rule)) == rule


@pytest.mark.parametrize(
    "rule",
    [
        "top_k=1000000",
        "threshold=0.123456789",
        "threshold=0.8000000000000002",
        "threshold=0.7999999999999998",
        "threshold=1e-07",
        "threshold=-2",
        "differs=0.3",
        "elbow",
    ],
)
def test_a_rule_is_written_as_it_is_read_to_the_last_digit(rule):
    assert parse_rule(str(parse_rule(rule))) == parse_rule(rule)
    assert str(parse_rule(rule)) == rule


def test_rules_are_values():
    assert len({parse_rule("top_k=3"), parse_rule("top_k=3"), parse_rule("elbow")}) == 2
    assert len(set(RULES.values())) == len(RULES)


def test_one_layer_alone_is_above_the_gap():
    assert choose_layers(parse_rule("elbow"), {7: 0.3}) == (7,)


def test_the_gap_is_a_difference_of_scores_whatever_their_ratio():
    assert choose_layers(parse_rule("elbow"), {0: 0.001, 1: 0.3, 2: 0.7}) == (2,)
    assert choose_layers(parse_rule("elbow"), {0: -0.5, 1: -0.1, 2: 0.1}) == (1, 2)


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "top_k",
        "top_k=0",
        "top_k=x",
        "top_k=3,",
        "top_k=3,gap",
        "top_k=3,gap=0",
        "top_k=3,far=2",
        "spread=0",
        "spread=3,gap=2",
        "threshold=nan",
        "differs=1.5",
        "threshold=inf",
        "differs=0",
        "differs=-0.1",
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
        ("best=4", "expected top_k=6, spread=6, threshold=0.8, elbow, layers=9,11-13 or differs=0.05"),
        ("top_k=0", "expected a whole number of at least 1 behind top_k=, such as top_k=6"),
        (
            "top_k=3,far=2",
            "expected a whole number of at least 1, alone or with a gap as in 6,gap=3 behind top_k=",
        ),
        ("differs=1", "expected a number between 0 and 1 behind differs=, such as differs=0.05"),
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
        choose_layers(parse_rule("top_k=6"), SCORES)
    with pytest.raises(
        UsageError, match=r"spread=4 asks for 4 .* at least 2 apart: of the 5 that .* at most 3 are"
    ):
        choose_layers(parse_rule("spread=4"), SCORES)
    with pytest.raises(UsageError, match="no score for layers 7"):
        choose_layers(parse_rule("layers=1,7"), SCORES)
    with pytest.raises(UsageError, match="needs q-values"):
        choose_layers(parse_rule("differs=0.05"), SCORES)


def test_a_new_rule_is_one_row_of_the_table(tmp_path, monkeypatch):
    """Read from a command line, listed in every help, applied, written in a recipe, shown in the page."""
    row = Rule(
        name="above_median",
        example="above_median",
        description="layers that score above the median",
        choose=lambda _, layers: [
            at for at in layers.scores if layers.scores[at] > median(layers.scores.values())
        ],
    )
    monkeypatch.setitem(RULES, row.name, row)
    base, donor = tiny.gemma3_text(tmp_path / "base", 0), tiny.gemma3_text(tmp_path / "donor", 1)
    folder = save_diagnosis(tmp_path / "diagnosis", base, {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.8})
    write_draws(
        folder,
        ScoreDraws(
            np.arange(4), np.zeros(4, int), np.zeros((1, 0, 4)), np.array([[[0.1, 0.9, 0.2, 0.8]] * 3])
        ),
    )
    for command in (select.command, recipe.command, score.command, diagnose.command):
        listed = " ".join(run(command, "--help").split())
        assert "|above_median]" in listed
        assert "above_median layers that score above the median" in listed
    printed = run(select.command, folder, "--rule", "above_median", "--mark")
    assert printed.splitlines()[1].split() == (
        ["above_median", "raw", "1,", "3", "0", "of", "2", "1.00", "-", "-", "-", "1:", "1.00", "3:", "1.00"]
    )
    page = (folder / "diagnosis.html").read_text()
    assert "<dt>selected by above_median</dt><dd>1, 3 (shaded), 0 of 2 adjacent</dd>" in page
    written = tmp_path / "recipe.yml"
    names = ("--diagnosis", folder, "--base", base, "--donor", donor, "--out", written)
    assert "layers 1, 3 of 4" in run(recipe.command, *names, "--select", "above_median")
    assert "select: above_median" in written.read_text()
    with pytest.raises(UsageError, match="layers=9,11-13, differs=0.05 or above_median"):
        parse_rule("best")


def run(command, *arguments):
    result = CliRunner().invoke(
        command, [str(argument) for argument in arguments], catch_exceptions=False, terminal_width=200
    )
    return result.output


def test_a_choice_owes_to_its_scores_what_others_would_not_take() -> None:
    rule = parse_rule("top_k=2")
    alike, half, none = {0: 3.0, 1: 2.0, 2: 1.0}, {0: 3.0, 1: 0.0, 2: 1.0}, {0: 0.0, 1: 1.0, 2: 2.0}
    assert agreement(rule, (0, 1), [alike, half]) == pytest.approx((1 + 1 / 3) / 2)
    assert agreement(parse_rule("top_k=1"), (0,), [none]) == 0
    assert agreement(rule, (0, 1), []) is None
    assert agreement(parse_rule("layers=1"), (1,), [alike]) is None
    assert agreement(parse_rule("differs=0.1"), (1,), [alike]) is None
    assert overlap((), ()) == 1
