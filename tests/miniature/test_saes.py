"""The miniature's SAEs: SAELens reads them, they know where they listen, and they are made again bit for bit."""

import torch

from sae_merge_method.artifacts.sae_training import read_training
from sae_merge_method.miniature.model import load_tokenizer
from sae_merge_method.miniature.saes import NAME, make_saes


def test_every_layer_has_an_sae_that_saelens_loads(tiny_miniature, tiny_settings):
    from sae_lens import SAE

    for layer in range(tiny_settings.n_layers):
        sae = SAE.load_from_disk(tiny_miniature.saes / f"layer_{layer}")
        assert sae.cfg.architecture() == "jumprelu"
        assert sae.cfg.metadata.hook_name == f"blocks.{layer}.hook_resid_post"
        assert (sae.cfg.d_in, sae.cfg.d_sae) == (tiny_settings.d_model, tiny_settings.sae_width)
        states = torch.randn(50, tiny_settings.d_model)
        assert sae.decode(sae.encode(states)).isfinite().all()


def test_the_same_settings_train_the_same_saes_and_say_so_in_the_same_words(
    tiny_miniature, tiny_settings, tmp_path
):
    make_saes(tiny_settings, tiny_miniature.base, load_tokenizer(tiny_miniature.base), tmp_path)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert len(made) == 2 * tiny_settings.n_layers + 2
    for file in made:
        assert (tiny_miniature.saes / file).read_bytes() == (tmp_path / file).read_bytes()


def test_their_report_names_the_model_and_both_texts_and_no_folder_of_this_machine(tiny_miniature):
    report = read_training(tiny_miniature.saes)
    assert (report.model.id, [text.name for text in report.texts]) == (NAME, ["maths", "stories"])
    assert report.texts[0].tokens_read > 0
    assert all(
        str(tiny_miniature.base) not in path.read_text() for path in tiny_miniature.saes.rglob("*.json")
    )
