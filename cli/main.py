"""``sae-merge``: adds the sub-commands and turns our errors into messages. Nothing else lives here."""

import importlib
import os
import sys

import click
from typing_extensions import override

from sae_merge_method import __version__
from sae_merge_method.errors import SaeMergeError

# The order is the road a user takes; --help shows it. A module is imported only when its
# command runs, so that --help and --version stay instant.
COMMANDS = {
    "diagnose": "Listen to a base model and score how specific each layer is to the target text.",
    "score": "Score a diagnosis anew by another score, without the model.",
    "select": "Show what selection rules would take of a diagnosis, and how stably.",
    "recipe": "Choose layers from a diagnosis and write a mergekit recipe.",
    "recipes": "List the ready-made recipes, or copy one out.",
    "merge": "Run a recipe: checked first, written whole or not at all.",
    "verify": "Prove that a merged checkpoint is what its recipe says, tensor by tensor.",
    "energy": "Measure how much of a task vector a projection on SAE features keeps, beside chance.",
    "controls": "Write the recipes any claim needs beside its own: other layers, equal energy, the scalpel.",
    "experiment": "Run a recipe and its controls, evaluated and reported together, from one file.",
    "rebuild": "Make a merged model again from its own recipe, and compare the bytes.",
    "card": "Write the Hub model card of a merged folder.",
    "diff": "Show which tensors of two checkpoints differ, and by how much.",
    "undo": "Take back an edit made with merge --in-place.",
    "tasks-path": "Print the folder of the lm-eval tasks, for --include_path.",
    "compare": "Say, by a z-test per subject, what really changed between two evaluations.",
    "demo": "The whole road on a miniature trained on the spot.",
    "doctor": "Check this installation, and say how to mend it.",
}


class Road(click.Group):
    """A group that knows its commands' names and one-line helps without importing them."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"sae_merge_method.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Road, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sae-merge")
def road() -> None:
    """Interpretability-guided model editing: diagnose, recipe, merge, evaluate, compare.

    Evaluation is lm-eval's own command: lm_eval --tasks minerva_math_sae
    """


def main() -> None:
    """Entry point: exit 0 on success, 2 for usage, 1 for failure, 130 when interrupted."""
    try:
        code = road.main(prog_name="sae-merge", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except SaeMergeError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _complain("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away (head, less): not an error of ours to report.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _complain(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        sys.exit(1)
    except Exception as error:
        # A fault of ours or of a host: one line for the user, the traceback for who asks for it.
        if os.environ.get("SAE_MERGE_DEBUG"):
            raise
        _complain(f"{type(error).__name__}: {error} (SAE_MERGE_DEBUG=1 shows where)")
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str) -> None:
    click.echo(f"Error: {message}", err=True)


if __name__ == "__main__":
    main()
