"""The `areca` command: its verbs, how it exits, and what it says of errors."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

import areca
from areca.errors import ArecaError, InputError
from areca_pipelines.commands import files, imagery, models, results, runs

INTERRUPTED = 130
"""What typer makes of Ctrl-C."""

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Count and measure round things in big imagery: from a STAC catalogue and a "
        "model to a table of objects with area, centre and radius in true metres.\n\n"
        "Try the demonstration first: [bold]areca run tree_crown_demo --out "
        "runs/demo[/bold]"
    ),
    epilog=(
        "Exit codes: 0 done; 1 failed, run the same command to resume; 2 bad input, "
        "one line says what; 3 done with holes, which are listed."
    ),
)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    if asked:
        print(f"areca {areca.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - its callback prints it and ends
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print it."
        ),
    ] = False,
) -> None:
    """Hold the options of the command itself; `main` reads debug."""
    del debug


for _group in (runs, files, results, imagery, models):
    app.add_typer(_group.app)


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit; errors are one line, tracebacks only with --debug.

    Args:
        arguments: What stands behind `areca`; those of this process when left out.
    """
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    # --debug is welcome anywhere, not only before the verb.
    words = ["--debug", *(w for w in words if w != "--debug")] if debug else words
    try:
        code = app(words, standalone_mode=False)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort: one line, not a trace
        code = _explain(error)
        if debug:
            traceback.print_exc()
    if code == INTERRUPTED:
        _say("interrupted; finished blocks are kept: run the same command to resume")
        code = 1
    sys.exit(code or 0)


def _explain(error: Exception) -> int:
    """Return the exit code of an error, once one line about it is printed."""
    if isinstance(error, typer.Abort):
        return 1
    if hasattr(error, "format_message"):  # click's own complaints about the words
        _say(f"{error.format_message()} See areca --help")
        return 2
    if isinstance(error, ArecaError):
        _say(" ".join(str(error).split()))
        return 2 if isinstance(error, InputError) else 1
    from areca.catalog import redact

    _say(
        f"unexpected {type(error).__name__}: {redact(str(error))}. This is a defect of "
        "areca; --debug shows where"
    )
    return 1


def _say(line: str) -> None:
    print(f"areca: {line}", file=sys.stderr)


if __name__ == "__main__":
    main()
