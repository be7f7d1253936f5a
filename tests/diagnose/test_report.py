"""The page and the snippets: what a user looks at."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sae_merge_method.artifacts.diagnosis import Diagnosis, read_diagnosis
from sae_merge_method.diagnose.page import write_report
from tests.diagnose import hosts
from tests.diagnose.test_run import diagnose


@pytest.fixture(scope="module")
def heard(
    tmp_path_factory: pytest.TempPathFactory, legible: Path, planted_saes: str, maths: Path, prose: Path
) -> Path:
    out = tmp_path_factory.mktemp("report") / "diagnosis"
    diagnose(out, legible, planted_saes, maths, prose, "--select", "top_k=2", "--snippets", "2")
    return out


def test_snippets_show_target_text_around_the_strongest_token(heard: Path) -> None:
    features = read_diagnosis(heard).layers[0].top_features
    assert [len(feature.snippets) for feature in features[:4]] == [2] * 4
    for snippet in features[0].snippets:
        peak = re.search("«(.*)»", snippet)
        assert peak is not None
        assert peak[1].strip() in hosts.MATHS
        assert set(re.findall(r"\w+", snippet)) <= {*hosts.MATHS, *hosts.COMMON}


class Page(HTMLParser):
    """Collects what a page loads, and checks that its tags close."""

    void = frozenset(("meta", "br", "img"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[str | None] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.loads += [value for name in ("src", "href") if (value := found.get(name))]
        if tag == "tr":
            self.rows.append(found.get("class"))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_loads_nothing_and_marks_the_chosen_layers(heard: Path) -> None:
    page = Page((heard / "diagnosis.html").read_text())
    assert page.open == []
    assert all(load.startswith("data:image/png;base64,") for load in page.loads)
    assert page.rows[1:5] == [None, "chosen", None, "chosen"]


def renamed(diagnosis: Diagnosis, neuronpedia: str) -> Diagnosis:
    layers = tuple(
        entry.model_copy(update={"sae": entry.sae.model_copy(update={"neuronpedia": neuronpedia})})
        for entry in diagnosis.layers
    )
    corpus = diagnosis.target.model_copy(update={"name": "<script>alert(1)</script>"})
    return diagnosis.model_copy(update={"layers": layers, "target": corpus})


def test_features_link_to_neuronpedia_where_the_sae_is_known_there(heard: Path, tmp_path: Path) -> None:
    (tmp_path / "specificity.png").write_bytes(b"")
    write_report(tmp_path, renamed(read_diagnosis(heard), "gemma-3-4b-it/17-gemmascope-2-res-16k"), "bits")
    text = (tmp_path / "diagnosis.html").read_text()
    assert 'href="https://www.neuronpedia.org/gemma-3-4b-it/17-gemmascope-2-res-16k/0"' in text
    assert "<script>alert" not in text
