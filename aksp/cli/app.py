"""The ``aksp`` command. Here alone errors become exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from aksp import __version__
from aksp.cli import addon, assign, assignments, completion, compliance, definitions, denials, explain, history, sync
from aksp.cli.options import with_cluster_values
from aksp.errors import AkspError, ExitCode


class InOrderOfUse(TyperGroup):
    """Lists the commands as they are used, not as they are made."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the commands."""
        order = ["definitions", "assign", "assignments", "compliance", "explain", "history", "sync", "addon", "denials"]
        return sorted(super().list_commands(ctx), key=order.index)


app = typer.Typer(
    name="aksp",
    cls=InOrderOfUse,
    help="Azure Policy for AKS on any terminal, for any Kubernetes cluster.",
    no_args_is_help=True,
    # Rich help would cost a third of a second for no more words.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(definitions.app, name="definitions")
app.add_typer(assign.app, name="assign")
app.add_typer(assignments.app, name="assignments")
app.command("compliance")(compliance.compliance)
app.command("explain")(explain.explain)
app.command("history")(history.history)
app.command("sync")(sync.sync)
app.add_typer(addon.app, name="addon")
app.command("denials")(denials.denials)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"aksp {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of internal errors.")] = False,
) -> None:
    """Azure Policy for AKS on any terminal, for any Kubernetes cluster."""


def main(arguments: Sequence[str] | None = None, *, name: str = "aksp") -> int:
    """Run the command and return its exit code. `name` is what it was called by, for its usage lines."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given or bool(os.environ.get("AKSP_DEBUG"))
    # Accepted anywhere, as people add it to the end of the line that failed.
    given = with_cluster_values([argument for argument in given if argument != "--debug"])
    try:
        code = typer.main.get_command(app).main(given, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
        return int(code or ExitCode.OK)
    except typer.TyperException as error:
        _show_usage_error(error)
        return ExitCode.INVALID
    except AkspError as error:
        if debug:
            traceback.print_exc()
        _complain(str(error), error.hint)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("aksp: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # The reader has seen enough; typer makes an exit of it. Nothing may be written to the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except Exception as error:  # noqa: BLE001 - the last resort, told as a bug
        if debug:
            traceback.print_exc()
        _complain(
            f"sorry, this is a bug in aksp: {type(error).__name__}: {error}",
            ("report this" if debug else "run it again with --debug and report what it prints")
            + ", with the command and aksp --version",
        )
        return ExitCode.INTERNAL


def _complain(message: str, hint: str | None) -> None:
    from aksp.cli.ci import harmless
    from aksp.report.text import safe

    print(harmless(f"aksp: error: {safe(message)}"), file=sys.stderr)
    if hint:
        print(harmless(f"  hint: {safe(hint)}"), file=sys.stderr)


def _show_usage_error(error: typer.TyperException) -> None:
    context: typer.Context | None = getattr(error, "ctx", None)
    if context is not None and error.message == context.get_help():
        # A group without a subcommand: its help is all that is to be said.
        print(error.message, file=sys.stderr)
        return
    if context is not None:
        print(context.get_usage(), file=sys.stderr)
    hint = f"see {context.command_path} --help" if context is not None else None
    _complain(error.format_message().replace("Value error, ", ""), hint)


def entry() -> None:
    """The console script."""
    sys.exit(completion.entry() if completion.VARIABLE in os.environ else main())
