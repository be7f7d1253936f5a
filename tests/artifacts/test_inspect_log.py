"""A log of inspect_ai is read as it lies there, and refused for its true reason."""

import json
import zipfile
from pathlib import Path

import pytest

from sae_merge_method.artifacts import inspect_log
from sae_merge_method.artifacts.inspect_log import is_log, read_log
from sae_merge_method.errors import ArtifactError
from tests.evaluations import NUM_THEORY, results
from tests.inspect_logs import log, sample, save


@pytest.mark.parametrize("form", [".eval", ".json"])
def test_a_log_is_read_in_either_form(tmp_path: Path, form: str) -> None:
    read = read_log(save(tmp_path, log(["C", "I"]), form=form))
    assert [one.id for one in read.samples] == ["0", "1"]
    assert [one.values for one in read.samples] == [{"match": "C"}, {"match": "I"}]
    assert read.samples[0].text == "It is C."
    assert read.header["eval"]["model"] == "hf/a/model"
    assert "samples" not in read.header


def test_both_forms_hold_the_same(tmp_path: Path) -> None:
    zipped, plain = (read_log(save(tmp_path, log(["C", "P"]), form=form)) for form in (".eval", ".json"))
    assert zipped._replace(path=plain.path) == plain


def test_messages_are_the_same_input_whatever_ids_they_have(tmp_path: Path) -> None:
    def asked(name: str) -> str:
        message = {"id": name, "role": "user", "content": [{"type": "text", "text": "Why?"}]}
        made = log(["C"], samples=[sample(0, "C", input=[message])])
        return read_log(save(tmp_path / name, made)).samples[0].input_hash

    assert asked("one") == asked("other")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "cancelled"}, "was cancelled"),
        ({"status": "started"}, "is not finished"),
        (
            {"status": "error", "error": {"message": "CUDA out of memory"}},
            "ended with an error .CUDA out of memory",
        ),
        ({"invalidated": True}, "was invalidated"),
        ({"samples": []}, "holds no samples"),
        ({"samples": [{"id": 1}]}, "expected a log of inspect_ai"),
        ({"status": None}, "has the status None"),
    ],
)
@pytest.mark.parametrize("form", [".eval", ".json"])
def test_a_log_that_is_not_whole_is_refused_for_its_reason(
    tmp_path: Path, changes: dict[str, object], message: str, form: str
) -> None:
    made = log(["C"])
    if changes.get("samples") == [{"id": 1}]:
        changes = {"samples": [{"id": 1, "epoch": 1}]}
    with pytest.raises(ArtifactError, match=message):
        read_log(save(tmp_path, made | changes, form=form))


def test_a_log_that_is_still_written_is_not_finished(tmp_path: Path) -> None:
    path = tmp_path / "a.eval"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("_journal/start.json", json.dumps({"version": 2, "eval": log([])["eval"]}))
    with pytest.raises(ArtifactError, match="is not finished"):
        read_log(path)


def test_a_member_is_read_up_to_its_bound_whatever_it_says_of_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path, log([" " * 10_000]))
    monkeypatch.setattr(inspect_log, "MOST_BYTES", 5000)
    with pytest.raises(ArtifactError, match="is larger than 5000 bytes"):
        read_log(path)


def test_names_in_the_archive_are_no_paths(tmp_path: Path) -> None:
    path = save(tmp_path / "logs", log(["C"]))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("samples/../../../escaped.json", json.dumps(sample(7, "I")))
        archive.writestr("/etc/other.json", "{}")
    assert [one.id for one in read_log(path).samples] == ["0", "7"]
    assert sorted(file.name for file in tmp_path.rglob("*")) == sorted(["logs", path.name])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"{"])
@pytest.mark.parametrize("name", ["a.eval", "a.json"])
def test_a_damaged_log_is_an_error_of_ours(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"a\.(eval|json)"):
        read_log(path)


def test_results_of_lm_eval_are_no_log(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps(results({NUM_THEORY: (1, 2)})))
    assert not is_log(tmp_path / "r.json")
    assert not is_log(tmp_path / "nothing.eval")
    assert is_log(save(tmp_path, log(["C"]), form=".json"))
