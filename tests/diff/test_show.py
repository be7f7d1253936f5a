"""A difference as text, as JSON, as a picture, and as the command prints it."""

import json

import pytest
from click.testing import CliRunner

from sae_merge_method.artifacts.difference import Difference, Stored, StoredTwice, TensorDifference
from sae_merge_method.cli.diff import command
from sae_merge_method.diff.show import difference_text, heat_map
from sae_merge_method.models.tensor_names import layer_part


def tensor(name: str, relative: float, *, same_bytes: bool = False) -> TensorDifference:
    key = layer_part(name)
    return TensorDifference(
        name=name,
        layer=key.layer if key else None,
        part=key.part if key else None,
        same_bytes=same_bytes,
        values=8,
        changed=0 if same_bytes else 6,
        relative=relative,
        largest=relative / 4,
    )


@pytest.fixture
def difference() -> Difference:
    return Difference(
        tensors=(
            tensor("model.norm.weight", float("nan")),
            tensor("model.layers.1.mlp.up_proj.weight", 0.5),
            tensor("model.layers.1.mlp.down_proj.weight", 0.25),
            tensor("model.layers.3.mlp.up_proj.weight", float("inf")),
            tensor("model.layers.2.mlp.up_proj.weight", 0.0, same_bytes=True),
        ),
        only_in_first=("lm_head.weight",),
        only_in_second=(),
        not_comparable=("model.embed_tokens.weight",),
    )


def test_changed_tensors_have_a_line_each_and_one_line_sums_up(difference):
    assert difference_text(difference).splitlines() == [
        "tensor                               relative  largest  changed",
        "model.norm.weight                         nan      nan    75.0%",
        "model.layers.1.mlp.up_proj.weight         0.5    0.125    75.0%",
        "model.layers.1.mlp.down_proj.weight      0.25   0.0625    75.0%",
        "model.layers.3.mlp.up_proj.weight         inf      inf    75.0%",
        "only in A: lm_head.weight",
        "not comparable: model.embed_tokens.weight",
        "4 of 5 shared tensors differ, in modules 1.mlp, 3.mlp, 1 of them outside the decoder layers, "
        "1 only in A, 1 not comparable",
    ]


def test_a_layer_that_differs_in_one_part_alone_is_named_by_it(difference):
    norms = [tensor("model.layers.1.input_layernorm.weight", 0.5)]
    both = [tensor("model.layers.3.self_attn.o_proj.weight", 0.5)]
    more = difference.model_copy(update={"tensors": (*difference.tensors, *norms, *both)})
    assert "differ, in layers 1, 3, 1 of them outside" in difference_text(more)
    more = difference.model_copy(update={"tensors": (*difference.tensors, *both)})
    assert "differ, in layers 1.mlp, 3, 1 of them outside" in difference_text(more)


def test_dtypes_stand_in_a_column_and_are_summed_up(difference):
    def stored(name: str, first: str, second: str) -> StoredTwice:
        shape = (4, 2)
        return StoredTwice(
            name=name, first=Stored(dtype=first, shape=shape), second=Stored(dtype=second, shape=shape)
        )

    kept = tensor("model.layers.0.mlp.up_proj.weight", 0.0).model_copy(update={"changed": 0})
    rounded = [stored(one.name, "F32", "BF16") for one in difference.changed]
    told = difference.model_copy(update={"stored": tuple(rounded)})
    lines = difference_text(told).splitlines()
    assert lines[0].split() == ["tensor", "relative", "largest", "changed", "stored"]
    assert lines[2].split()[-3:] == ["F32", "->", "BF16"]
    assert lines[-1] == (
        "4 of 5 shared tensors differ in values, in modules 1.mlp, 3.mlp, 1 of them outside the decoder "
        "layers, 4 of them stored as BF16 in place of F32, 1 only in A, 1 not comparable"
    )
    told = told.model_copy(update={"tensors": (kept,), "stored": (stored(kept.name, "BF16", "F32"),)})
    assert not told.identical and told.changed == ()
    assert difference_text(told).splitlines()[-1] == (
        "0 of 1 shared tensors differ in values; 1 is stored as F32 in place of BF16, "
        "1 only in A, 1 not comparable"
    )


def test_where_nothing_is_shared_or_nothing_comparable_it_is_said(difference):
    apart = difference.model_copy(update={"tensors": ()})
    assert difference_text(apart).splitlines()[-1] == (
        "no tensor that both have can be compared, 1 only in A, 1 not comparable"
    )
    apart = apart.model_copy(update={"not_comparable": (), "only_in_second": ("a", "b")})
    assert difference_text(apart).splitlines()[-1] == (
        "nothing is shared: no tensor of A is called as one of B, 1 only in A, 2 only in B"
    )


def test_of_many_those_that_moved_most_are_listed_what_is_not_finite_first(difference):
    lines = difference_text(difference, most=3).splitlines()
    assert [line.split()[0] for line in lines[1:4]] == [
        "model.norm.weight",
        "model.layers.1.mlp.up_proj.weight",
        "model.layers.3.mlp.up_proj.weight",
    ]
    assert lines[4] == "... and 1 more that moved less (--all lists them)"


def test_json_has_null_for_what_is_not_finite(difference):
    value = json.loads(difference.model_dump_json())
    assert [one["relative"] for one in value["tensors"]] == [None, 0.5, 0.25, None, 0.0]
    assert value["identical"] is False


@pytest.mark.usefixtures("whole_pictures")
def test_a_picture_is_the_same_bytes_each_time_also_where_nothing_changed(difference):
    assert heat_map(difference, "title") == heat_map(difference, "title")
    none = Difference(tensors=(), only_in_first=(), only_in_second=(), not_comparable=())
    assert heat_map(none, "nothing changed").startswith(b"\x89PNG")


def test_the_command_prints_json_and_draws_what_it_printed(tmp_path, base, donor):
    plot = tmp_path / "plot.png"
    result = CliRunner().invoke(command, [str(base), str(donor), "--format", "json", "--plot", str(plot)])
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert not value["identical"] and len(value["tensors"]) == 54
    assert plot.read_bytes().startswith(b"\x89PNG")
    result = CliRunner().invoke(command, [str(base), str(base)])
    assert result.stdout == "identical: 54 tensors, byte for byte\n"
