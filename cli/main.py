"""``sae-merge``: adds the sub-commands, turns our errors into messages. Nothing else."""

import ast
import importlib
import importlib.resources
import io
import os
import signal
import sys
from types import FrameType

import click
from typing_extensions import override

from sae_merge_method import __version__
from sae_merge_method.cli.output import complain, show, show_log
from sae_merge_method.errors import SaeMergeError
from sae_merge_method.files.interrupts import ENDING

# The order is the road a user takes; --help shows it. A module is imported only when its
# command runs, so that --help and --version stay instant.
HEADINGS = {
    "Start": ("doctor", "demo"),
    "Choose layers and weights": ("attribute", "tune", "diagnose", "score", "select", "train-saes"),
    "Edit": ("recipe", "recipes", "merge", "undo"),
    "Judge": ("compare", "experiment", "controls", "energy", "tasks-path"),
    "Prove and share": ("verify", "diff", "card", "rebuild"),
}
COMMANDS = tuple(name for names in HEADINGS.values() for name in names)


class Road(click.Group):
    """A group that knows its commands' names and one-line helps without importing them."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"{_PACKAGE}.{_module(cmd_name)}").command
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        widest = max(map(len, COMMANDS))  # all lists are aligned alike
        for heading, names in HEADINGS.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(widest), _first_line(name)) for name in names])


_PACKAGE = "sae_merge_method.cli"


def _module(name: str) -> str:
    return name.replace("-", "_")


def _first_line(name: str) -> str:
    """The first sentence of a command's own help, read from its source: imports would cost half a second."""
    source = importlib.resources.files(_PACKAGE) / f"{_module(name)}.py"
    functions = [
        node for node in ast.parse(source.read_text("utf-8")).body if isinstance(node, ast.FunctionDef)
    ]
    (help_text,) = [ast.get_docstring(node) for node in functions if node.name == "command"]
    return (help_text or "").partition("\n\n")[0]


@click.command(cls=Road, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sae-merge")
def road() -> None:
    """Interpretability-guided model editing: diagnose, recipe, merge, evaluate, compare.

    Evaluation is lm-eval's own command: lm_eval --tasks minerva_math_sae
    """


def main() -> None:
    """Entry point: exit 0 on success, 2 for usage, 1 for failure, 130 on Ctrl-C, 143 on SIGTERM.

    On SIGHUP it is 129; one that is ignored, as nohup has it, stays so.
    """
    show_log()
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _terminate)
    try:
        code = road.main(prog_name="sae-merge", standalone_mode=False)
    except click.ClickException as error:
        said = io.StringIO()
        error.show(said)
        show(said.getvalue(), nl=False, err=True)
        sys.exit(error.exit_code)
    except SaeMergeError as error:
        complain(f"Error: {error}")
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        cause = error.__cause__ or error
        if isinstance(cause, Terminated):
            complain("Error: terminated")
            sys.exit(128 + cause.number)
        complain("Error: interrupted")
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away (head, less): not an error of ours to report.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        complain(f"Error: {error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        sys.exit(1)
    except Exception as error:
        # A fault of ours or of a host: one line for the user, the traceback for who asks for it.
        if os.environ.get("SAE_MERGE_DEBUG"):
            raise
        complain(f"Error: {type(error).__name__}: {error} (SAE_MERGE_DEBUG=1 shows where)")
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


class Terminated(KeyboardInterrupt):
    """Told to end from outside: whatever tidies up after Ctrl-C does so here too."""

    def __init__(self, number: int) -> None:
        """Keep the signal's number."""
        super().__init__()
        self.number = number


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated(number)


if __name__ == "__main__":
    main()
