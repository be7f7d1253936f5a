import re
from pathlib import Path

from sae_merge_method.artifacts.diagnosis import read_diagnosis
from tests.diagnose import hosts
from tests.diagnose.command import diagnose


def test_snippets_show_target_text_around_the_strongest_token(
    tmp_path: Path, legible: Path, planted_saes: str, maths: Path, prose: Path
) -> None:
    diagnose(tmp_path / "out", legible, planted_saes, maths, prose, "--snippets", "2")
    features = read_diagnosis(tmp_path / "out").layers[0].top_features
    assert [len(feature.snippets) for feature in features[:4]] == [2] * 4
    for snippet in features[0].snippets:
        peak = re.search("«(.*)»", snippet)
        assert peak is not None
        assert peak[1].strip() in hosts.MATHS
        assert set(re.findall(r"\w+", snippet)) <= {*hosts.MATHS, *hosts.COMMON}
