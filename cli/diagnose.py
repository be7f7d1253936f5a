"""``sae-merge diagnose``: listen to a base model, score its layers, write a diagnosis folder."""

import logging
from pathlib import Path

import click

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("diagnose", context_settings={"show_default": True})
@click.option("--model", required=True, help="Base model: a folder, or a Hub id with an optional @revision.")
@click.option(
    "--sae", required=True, help="SAEs: a folder template such as saes/layer_{layer}, or a SAELens release."
)
@click.option("--sae-id", help="Id of a layer's SAE within --sae, such as layer_{layer}_width_16k_l0_small.")
@click.option("--layers", default="all", help='Layers to listen to, such as "9, 11-13".')
@click.option(
    "--target",
    required=True,
    type=_FILE,
    help="Text of the ability to edit: JSON lines or a document a line, gzip too.",
)
@click.option(
    "--control", required=True, type=_FILE, help="General text to compare with, in the same formats."
)
@click.option("--text-field", default="text", help="Field of a JSON line that holds the text.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder to write the diagnosis to."
)
@click.option("--score", default="kl_bits", help="Specificity score; an unknown name lists them.")
@click.option(
    "--max-documents", type=click.IntRange(1), help="Documents to take of each corpus.  [default: all]"
)
@click.option("--max-tokens", type=click.IntRange(1), help="Tokens to take of each corpus.  [default: all]")
@click.option(
    "--max-length",
    type=click.IntRange(1),
    default=1024,
    help="Longest document in tokens; the rest is cut off.",
)
@click.option(
    "--batch-tokens", type=click.IntRange(1), default=2048, help="Tokens that go through the model together."
)
@click.option(
    "--variance-tokens",
    type=click.IntRange(1),
    default=8192,
    help="About how many tokens to reconstruct for the explained variance.",
)
@click.option(
    "--dtype",
    type=click.Choice(("auto", "bfloat16", "float32", "float16")),
    default="auto",
    help="Precision of model and SAEs; auto is the checkpoint's.",
)
@click.option("--device", default="cpu", help="Torch device, such as cpu, cuda or cuda:1.")
@click.option(
    "--permutations",
    type=click.IntRange(0),
    default=1000,
    help="Shuffles of document labels for the null; 0 for none.",
)
@click.option(
    "--bootstrap",
    type=click.IntRange(0),
    default=1000,
    help="Resamples of documents for the intervals; 0 for none.",
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Seed of shuffles and resamples.")
@click.option("--overwrite", is_flag=True, help="Replace a diagnosis that stands in --out.")
def command(out: Path, overwrite: bool, **options: object) -> None:
    """Listen to a base model and score how specific each layer is to the target text.

    Writes diagnosis.json, features.safetensors, draws.safetensors and specificity.png
    into --out, and prints the scores.
    """
    from sae_merge_method.diagnose.run import diagnose
    from sae_merge_method.diagnose.settings import DiagnoseSettings
    from sae_merge_method.diagnose.table import format_table

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    diagnosis = diagnose(DiagnoseSettings(**options), out, overwrite)  # type: ignore[arg-type]
    click.echo(format_table(diagnosis))
