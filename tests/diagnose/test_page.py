"""The page: what a user looks at and sends on."""

from html.parser import HTMLParser
from pathlib import Path

from sae_merge_method.artifacts.diagnosis import Diagnosis, read_diagnosis
from sae_merge_method.diagnose.page import draw_diagnosis
from sae_merge_method.selection import parse_rule


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


def test_the_page_is_whole_loads_nothing_and_marks_the_selected_layers(planted: Path, tmp_path: Path) -> None:
    draw_diagnosis(tmp_path, read_diagnosis(planted), parse_rule("top_k=2"), (1, 3))
    text = (tmp_path / "diagnosis.html").read_text()
    assert "<dt>selected by top_k=2</dt><dd>1, 3 (shaded), 0 of 2 adjacent</dd>" in text
    page = Page(text)
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


def test_features_link_to_neuronpedia_where_the_sae_is_known_there(planted: Path, tmp_path: Path) -> None:
    draw_diagnosis(tmp_path, renamed(read_diagnosis(planted), "gemma-3-4b-it/17-gemmascope-2-res-16k"))
    text = (tmp_path / "diagnosis.html").read_text()
    assert 'href="https://www.neuronpedia.org/gemma-3-4b-it/17-gemmascope-2-res-16k/0"' in text
    assert "<script>alert" not in text
