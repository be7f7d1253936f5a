"""Pinning and renaming touch the models of a recipe's text and nothing else."""

from sae_merge_method.recipe.pin import pin, rename

SLICES = """\
# by hand
merge_method: sae_stethoscope
base_model: &base "org/base"   # quoted
slices:
  - sources: [{model: *base, layer_range: [0, 2]}]
  - sources:
      - {model: 'org/base', layer_range: [2, 4]}
      - {model: org/donor@main+org/adapter, layer_range: [2, 4]}  # tuned
parameters: {layers: "2, 3"}
sae_evidence: {model: org/base}
"""


def test_pinning_touches_the_models_and_nothing_else():
    pinned = pin(SLICES, {"org/base": "b" * 40, "org/donor": "d" * 40, "org/adapter": "a" * 40})
    base = f'"org/base@{"b" * 40}"'
    expected = SLICES.replace('"org/base"', base).replace("'org/base'", base)
    expected = expected.replace("org/donor@main+org/adapter", f"org/donor@{'d' * 40}+org/adapter@{'a' * 40}")
    assert pinned == expected
    assert pin(pinned, {}) == pinned


def test_renaming_quotes_what_yaml_would_misread():
    text = "base_model: org/base\nmodels:\n- model: org/donor\n"
    renamed = rename(text, {"org/base": "./my: base", "org/donor": "./d"})
    assert renamed == 'base_model: "./my: base"\nmodels:\n- model: ./d\n'
