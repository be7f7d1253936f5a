"""``sae-merge diagnose``: listen to a base model, score its layers, write a diagnosis folder."""

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource


@click.command("diagnose", context_settings={"show_default": True})
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="YAML file with any of these options (text_field: for --text-field); the command line overrides it.",
)
@click.option("--model", help="Base model: a folder, or a Hub id with an optional @revision.")
@click.option("--sae", help="SAEs: a folder template such as saes/layer_{layer}, or a SAELens release.")
@click.option("--sae-id", help="Id of a layer's SAE within --sae, such as layer_{layer}_width_16k_l0_small.")
@click.option("--layers", default="all", help='Layers to listen to, such as "9, 11-13".')
@click.option(
    "--target",
    help="Text of the ability to edit: JSON lines, parquet or a document a line, gzip too; "
    "or a Hub data set, name[:config[:split]].",
)
@click.option("--control", help="General text to compare with, in the same formats.")
@click.option("--text-field", default="text", help="Field or column that holds the text.")
@click.option(
    "--apply-chat-template", is_flag=True, help="Put every document into a user's turn; only its text counts."
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder to write the diagnosis to."
)
@click.option("--score", default="kl_bits", help="Specificity score; an unknown name lists them.")
@click.option("--max-documents", type=int, help="Documents to take of each corpus; all unless given.")
@click.option("--max-tokens", type=int, help="Tokens to take of each corpus; all unless given.")
@click.option("--max-length", default=1024, help="Longest document in tokens; the rest is cut off.")
@click.option("--batch-tokens", default=2048, help="Tokens that go through the model together.")
@click.option(
    "--variance-tokens",
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
    "--device-map",
    type=click.Choice(("auto",)),
    help="Spread the model over all devices there are, in place of --device.",
)
@click.option(
    "--memory",
    default="auto",
    help="Memory to use beside the model, such as 6G; auto is what is free. Less memory, more passes.",
)
@click.option("--permutations", default=1000, help="Shuffles of document labels for the null; 0 for none.")
@click.option(
    "--bootstrap",
    default=1000,
    help="Resamples of documents for intervals and stability; 0 for none. "
    "Scores of the top k get no interval: it would not cover the truth.",
)
@click.option("--seed", default=0, help="Seed of shuffles and resamples.")
@click.option("--snippets", default=1, help="Target snippets to keep of each top feature; 0 for none.")
@click.option("--select", help="Selection rule whose layers are marked in the pictures, such as top_k=3.")
@click.option("--overwrite", is_flag=True, help="Replace a diagnosis that stands in --out.")
@click.pass_context
def command(ctx: click.Context, /, config: Path | None, out: Path, overwrite: bool, **options: Any) -> None:
    """Listen to a base model and score how specific each layer is to the target text.

    Writes diagnosis.json, diagnosis.html, features.safetensors, draws.safetensors and
    specificity.png into --out, and prints the scores. Interrupted, the same command goes on where it was.
    Under torchrun or accelerate launch the documents are shared between the processes.
    """
    from sae_merge_method.diagnose.run import diagnose
    from sae_merge_method.diagnose.select import format_table
    from sae_merge_method.diagnose.settings import read_settings

    given = {
        name: value
        for name, value in options.items()
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    settings = read_settings(config, given)
    diagnosis = diagnose(settings, out, overwrite, report=lambda line: click.echo(line, err=True))
    if diagnosis is not None:
        click.echo(format_table(diagnosis))
