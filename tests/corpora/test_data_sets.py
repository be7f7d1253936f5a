"""Data sets as corpora: how they are named, read and identified."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from sae_merge_method.corpora.documents import read_corpus
from sae_merge_method.corpora.reading import is_dataset_name
from sae_merge_method.errors import CorpusError, UsageError


def test_a_data_set_is_read_by_name_configuration_and_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "owner/sums"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: easy\n  data_files:\n"
        "  - {split: train, path: easy.jsonl}\n  - {split: test, path: test.jsonl}\n---\n"
    )
    (folder / "easy.jsonl").write_text('{"text": "1 + 1"}\n{"text": "2 + 2"}\n{"text": "3 + 3"}\n')
    (folder / "test.jsonl").write_text('{"text": "4 + 4"}\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    train = read_corpus("owner/sums:easy", max_documents=2)
    assert train.documents == ("1 + 1", "2 + 2")
    assert read_corpus("owner/sums:easy:train", max_documents=2).sha256 == train.sha256
    assert read_corpus("owner/sums:easy:test", max_documents=9).documents == ("4 + 4",)
    with pytest.raises(CorpusError, match="cannot read the data set owner/sums:hard"):
        read_corpus("owner/sums:hard", max_documents=2)
    with pytest.raises(CorpusError, match="expected a column 'body'"):
        read_corpus("owner/sums:easy", "body", max_documents=2)
    with pytest.raises(UsageError, match="--max-documents says how much"):
        read_corpus("owner/sums:easy")


def test_a_data_set_is_identified_by_its_texts_and_by_prompts_and_answers_where_all_have_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    rows = {
        "plain": {"text": "2 + 2 = 4"},
        "told": {"text": "2 + 2 = 4", "prompt": "2 + 2 =", "completion": " 4"},
        "cut": {"text": "2 + 2 = 4", "prompt": "2 + 2", "completion": " = 4"},
    }
    found = {}
    for name, row in rows.items():
        (tmp_path / "owner" / name).mkdir(parents=True)
        (tmp_path / "owner" / name / "train.jsonl").write_text(json.dumps(row) + "\n")
        found[name] = read_corpus(f"owner/{name}", max_documents=1)
    assert len({one.documents for one in found.values()}) == 1
    assert len({one.sha256 for one in found.values()}) == 3
    assert found["plain"].sha256 == sha256(sha256(b"2 + 2 = 4").digest()).hexdigest()


@pytest.mark.parametrize(
    ("source", "is_name"),
    [
        ("owner/name", True),
        ("owner/name:config", True),
        ("owner/name::test", True),
        ("owner/name:config:test", True),
        ("gsm8k:main", True),
        ("texts/maths.jsonl", False),
        ("texts/maths.jsonl.gz", False),
        ("maths", False),
        ("/somewhere/maths", False),
        ("one/two/three", False),
    ],
)
def test_a_misspelt_file_is_not_looked_for_on_the_hub(source: str, is_name: bool) -> None:
    assert is_dataset_name(source) == is_name
