"""``--allow-mismatch KEY``, for every command that holds donors against their base."""

import click

from sae_merge_method.cli.record_options import listed

allow_mismatch_option = click.option(
    "--allow-mismatch",
    "allow_mismatch",
    multiple=True,
    callback=listed,
    metavar="KEY",
    help="Let base and donors differ in this key of config.json (rope_theta, rms_norm_eps, ...); several by "
    "commas. Without it whatever changes the meaning of a layer's weights is refused.",
)
