"""What ``sae-merge doctor --model`` says of a model before it is diagnosed."""

import re
from pathlib import Path

from sae_merge_method.hosts.doctor import check_model, products
from tests.diagnose import sinks


def test_a_tokenizer_that_adds_no_begin_of_text_is_said_to_and_is_no_problem(tmp_path: Path) -> None:
    model = sinks.save_model(tmp_path / "model")
    (finding,) = check_model(str(model))
    assert finding.state.startswith("this tokenizer adds no BOS (it does not begin documents with its <bos>)")
    assert not finding.problem


def test_a_model_without_a_tokenizer_is_a_problem_with_a_cure(tmp_path: Path) -> None:
    (finding,) = check_model(str(tmp_path / "nothing"))
    assert "cannot read the tokenizer" in finding.problem
    assert finding.mend


def test_the_speed_of_products_is_measured_in_what_models_are_computed_in() -> None:
    (finding,) = products()
    told = r"([\d,]+) in float32 and ([\d,]+) in bfloat16, in billions of operations a second by OMP_NUM_THREADS=1"
    speeds = re.fullmatch(told, finding.state)
    assert speeds is not None and all(int(speed.replace(",", "")) > 0 for speed in speeds.groups())
    assert not finding.problem
