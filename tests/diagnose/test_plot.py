from pathlib import Path

import pytest

from sae_merge_method.artifacts.diagnosis import read_diagnosis
from sae_merge_method.diagnose.plot import plot_specificity
from tests import tiny
from tests.diagnoses import save_diagnosis

pytestmark = pytest.mark.usefixtures("whole_pictures")
PNG = b"\x89PNG"


def test_the_same_diagnosis_is_the_same_picture_and_selected_layers_are_seen(planted: Path) -> None:
    diagnosis = read_diagnosis(planted)
    picture = plot_specificity(diagnosis, "bits")
    assert picture.startswith(PNG)
    assert plot_specificity(diagnosis, "bits") == picture
    assert plot_specificity(diagnosis, "bits", (1, 3)) not in (
        picture,
        plot_specificity(diagnosis, "bits", (1,)),
    )


@pytest.mark.parametrize("scores", [{2: 0.5}, {0: -0.2, 3: 0.4}])
def test_without_draws_and_with_few_layers_there_is_a_picture_all_the_same(
    tmp_path: Path, scores: dict[int, float]
) -> None:
    model = tiny.gemma3_text(tmp_path / "model", 0)
    diagnosis = read_diagnosis(save_diagnosis(tmp_path / "diagnosis", model, scores))
    assert plot_specificity(diagnosis, "bits", tuple(scores)).startswith(PNG)
