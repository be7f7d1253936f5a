"""Readers meet anything at all: an answer or one of our errors, never a crash, a hang or a byte too far."""

import copy
import json
import struct
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sae_merge_method.artifacts.diagnosis import read_diagnosis, write_diagnosis
from sae_merge_method.errors import SaeMergeError
from sae_merge_method.models.checkpoint import open_checkpoint
from sae_merge_method.models.headers import read_header
from sae_merge_method.recipe.methods import parse_recipe
from tests import tiny
from tests.diagnoses import save_diagnosis

ANY_NUMBER_OF_TIMES = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([2**63, -1, 10**400, "..", "../x.safetensors", "\ud800", "a\0b", "BF16", "F32"])
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4), max_leaves=8
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, value: Any) -> Any:
    """``value`` with one to three of its places, at any depth, replaced, removed or added to."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        place = value
        while True:
            if not isinstance(place, (dict, list)) or not place:
                break
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            inner = place[key]
            if isinstance(inner, (dict, list)) and inner and draw(st.booleans()):
                place = inner
                continue
            action = draw(st.sampled_from(["replace", "remove", "add"]))
            if action == "remove":
                del place[key]
            elif action == "replace" or isinstance(place, list):
                place[key] = draw(VALUES)
            else:
                place[draw(st.text(max_size=6))] = draw(VALUES)
            break
    return value


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tiny.gemma3_text(tmp_path_factory.mktemp("fuzz") / "model", 0, n_layers=1)
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole_diagnosis(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("heard")
    model = tiny.gemma3_text(folder / "model", 0, n_layers=1)
    save_diagnosis(folder / "diagnosis", model, {0: 0.5, 1: 0.25})
    return json.loads((folder / "diagnosis" / "diagnosis.json").read_text())


@given(data=st.data())
@ANY_NUMBER_OF_TIMES
def test_a_mutated_header_never_gives_a_byte_outside_the_file_or_shared_by_two(tmp_path, shard, data):
    length = struct.unpack("<Q", shard[:8])[0]
    header = data.draw(mutated(json.loads(shard[8 : 8 + length])))
    text = json.dumps(header).encode()
    file = tmp_path / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(text)) + text + shard[8 + length :])
    try:
        entries = sorted(read_header(file).values(), key=lambda entry: entry.start)
    except SaeMergeError:
        return
    reached = 8 + len(text)
    for entry in entries:
        assert reached <= entry.start <= entry.end <= file.stat().st_size
        reached = entry.end


@given(data=st.data())
@ANY_NUMBER_OF_TIMES
def test_flipped_and_missing_bytes_of_a_shard_are_an_answer_or_an_error(tmp_path, shard, data):
    length = struct.unpack("<Q", shard[:8])[0]
    damaged = bytearray(shard)
    for at in data.draw(st.lists(st.integers(0, 8 + length), max_size=6)):
        damaged[at] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.integers(0, len(damaged))) :]
    file = tmp_path / "model.safetensors"
    file.write_bytes(damaged)
    try:
        entries = read_header(file)
    except SaeMergeError:
        return
    assert all(entry.end <= len(damaged) for entry in entries.values())


@given(data=st.data())
@ANY_NUMBER_OF_TIMES
def test_an_index_names_files_of_its_own_folder_or_is_refused(tmp_path, shard, data):
    folder = tmp_path / "model"
    if not folder.exists():
        folder.mkdir()
        (folder / "config.json").write_text('{"num_hidden_layers": 1}')
        (folder / "a.safetensors").write_bytes(shard)
        (tmp_path / "x.safetensors").write_bytes(shard)
    names = [name for name in json.loads(shard[8 : 8 + struct.unpack("<Q", shard[:8])[0]]) if name[0] != "_"]
    index = data.draw(mutated({"metadata": {}, "weight_map": dict.fromkeys(names, "a.safetensors")}))
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    try:
        found = open_checkpoint(folder)
    except SaeMergeError:
        return
    assert {entry.file for entry in found.tensors.values()} <= {folder / "a.safetensors"}


RECIPE = {
    "merge_method": "sae_stethoscope",
    "base_model": "./base",
    "models": [
        {"model": "./donor", "parameters": {"weight": [{"filter": "mlp", "value": 0.5}, {"value": 1.0}]}}
    ],
    "parameters": {"layers": "1, 3", "diagnosis": "d.json", "select": "top_k=2"},
    "dtype": "bfloat16",
}


@given(recipe=mutated(RECIPE))
@ANY_NUMBER_OF_TIMES
def test_a_mutated_recipe_is_refused_by_name_or_means_the_same_when_it_is_written_again(recipe):
    try:
        source = yaml.safe_dump(recipe)
    except (yaml.YAMLError, UnicodeEncodeError):
        return
    try:
        found = parse_recipe(source, "recipe.yml")
    except SaeMergeError as error:
        assert "recipe.yml" in str(error)
        return
    written = yaml.safe_dump(found.model_dump(mode="json", exclude_none=True))
    assert parse_recipe(written, "again.yml") == found


@given(source=st.text(max_size=300) | st.text("[]{}:,-&*!|>'\"# \n\tab01", max_size=80))
@ANY_NUMBER_OF_TIMES
def test_text_that_is_no_recipe_is_an_error_that_says_where(source):
    with pytest.raises(SaeMergeError) as error:
        parse_recipe(source, "recipe.yml")
    assert "recipe.yml" in str(error.value)


def test_a_recipe_that_unfolds_without_end_is_refused_at_once():
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
    with pytest.raises(SaeMergeError):
        parse_recipe("\n".join([*lines, "merge_method: *a39"]), "recipe.yml")
    with pytest.raises(SaeMergeError):
        parse_recipe("[" * 1500, "recipe.yml")


@given(data=st.data())
@ANY_NUMBER_OF_TIMES
def test_a_mutated_diagnosis_is_refused_by_name_or_reads_the_same_when_it_is_written_again(
    tmp_path, whole_diagnosis, data
):
    value = data.draw(mutated(whole_diagnosis))
    file: Path = tmp_path / "diagnosis.json"
    file.write_text(json.dumps(value))
    try:
        found = read_diagnosis(file)
    except SaeMergeError as error:
        assert str(file) in str(error)
        return
    write_diagnosis(tmp_path / "again", found)
    assert read_diagnosis(tmp_path / "again") == found


def test_a_range_of_layers_without_end_is_refused_at_once():
    from sae_merge_method.layers import parse_layers

    with pytest.raises(SaeMergeError, match="99999999999"):
        parse_layers("0-99999999999")
