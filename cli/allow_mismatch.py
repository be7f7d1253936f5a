"""``--allow-mismatch KEY``, for every command that holds donors against their base."""

import click

allow_mismatch_option = click.option(
    "--allow-mismatch",
    "allow_mismatch",
    multiple=True,
    metavar="KEY",
    help="Let base and donors differ in this key of config.json (rope_theta, rms_norm_eps, ...); repeat for "
    "more. Without it whatever changes the meaning of a layer's weights is refused.",
)
