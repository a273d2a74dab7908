"""The ``aksp`` command as a process: its signals, its streams, and errors that become exit codes, here alone.

Little is imported before the signals are set, since Ctrl-C during an import would print a traceback.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from aksp.errors import AkspError, ExitCode
from aksp.store.atomic_file import discard_all

if TYPE_CHECKING:
    import typer

#: The exit code that shells give a process which a signal ended is this and the signal's number.
_BY_SIGNAL = 128
#: The command whose engine is started before all else is imported.
_JUDGES = "compliance"


def main(arguments: Sequence[str] | None = None, *, name: str = "aksp") -> int:
    """Run the command and return its exit code. `name` is what it was called by, for its usage lines."""
    import typer

    from aksp.cli.options import with_cluster_values, without_equals_signs
    from aksp.cli.root import command
    from aksp.cli.streams import ReaderGone

    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given or bool(os.environ.get("AKSP_DEBUG"))
    # Accepted anywhere, as people add it to the end of the line that failed.
    given = [argument for argument in given if argument != "--debug"]
    try:
        given = with_cluster_values(without_equals_signs(given, command()))
        code = command().main(given, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
        return int(code or ExitCode.OK)
    except ReaderGone:
        return ExitCode.OK
    except SystemExit as end:
        # Typer's --show-completion ends so.
        return end.code if isinstance(end.code, int) else ExitCode.OK
    except typer.TyperException as error:
        _show_usage_error(error)
        return ExitCode.INVALID
    except AkspError as error:
        if debug:
            _show_traceback()
        _complain(str(error), error.hint)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except Exception as error:  # noqa: BLE001 - the last resort, told as a bug
        if isinstance(error.__cause__, KeyboardInterrupt):
            # Before Python 3.12, Ctrl-C while a class is made becomes a RuntimeError.
            return _interrupted()
        if debug:
            _show_traceback()
        if isinstance(error, OSError) and error.errno is not None:
            # The disk is full, a permission is missing, or no file descriptor is left: no bug of aksp.
            where = f"{error.filename}: " if error.filename is not None else ""
            _complain(f"{where}{error.strerror}", None)
            return ExitCode.INVALID
        _complain(
            f"sorry, this is a bug in aksp: {type(error).__name__}: {error}",
            ("report this" if debug else "run it again with --debug and report what it prints")
            + ", with the command and aksp --version",
        )
        return ExitCode.INTERNAL


def _interrupted() -> int:
    print("aksp: interrupted", file=sys.stderr)
    return ExitCode.INTERRUPTED


def _complain(message: str, hint: str | None) -> None:
    from aksp.cli.ci import tell
    from aksp.report.text import safe

    tell(f"aksp: error: {safe(message)}")
    if hint:
        tell(f"  hint: {safe(hint)}")


def _show_traceback() -> None:
    import traceback

    from aksp.cli.ci import tell
    from aksp.report.text import safe

    tell("\n".join(map(safe, traceback.format_exc().splitlines())))


def _show_usage_error(error: typer.TyperException) -> None:
    context: typer.Context | None = getattr(error, "ctx", None)
    if context is not None and error.message == context.get_help():
        # A group without a subcommand has printed its help.
        print(error.message, file=sys.stderr)
        return
    if context is not None:
        print(context.get_usage(), file=sys.stderr)
    hint = f"see {context.command_path} --help" if context is not None else None
    _complain(error.format_message().replace("Value error, ", ""), hint)


def entry() -> NoReturn:
    """The console script."""
    run(_asked, sys.argv[1:])


def _asked() -> int:
    from aksp.cli.candidates import VARIABLE

    if VARIABLE not in os.environ:
        return main()
    from aksp.cli import completion

    return completion.entry()


def run(command: Callable[[], int], arguments: Sequence[str] = ()) -> NoReturn:
    """Be the process of a command, and end with its exit code. ``arguments`` are of a command that may need the engine.

    Ctrl-C before and after the command ends the process by the signal itself, which is 130 to a shell.
    """
    interrupts = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else they are ignored
    if interrupts:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP
            signal.signal(number, _end)
    from aksp.cli import streams

    # First, since a pipe to the engine would take the place of a stream that is closed.
    streams.prepare()
    judges = arguments[:1] == [_JUDGES]
    if judges:
        from aksp.cli import ahead

        ahead.begin(arguments)
    from aksp.cli import root  # noqa: F401

    sys.unraisablehook = _unraisable
    code: int = ExitCode.INTERRUPTED
    try:
        if interrupts:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = command()
    except (KeyboardInterrupt, streams.ReaderGone):
        pass  # Ctrl-C again while the first one was told
    finally:
        if interrupts:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        discard_all()
        if judges:
            ahead.end()
    _leave(code)


def _leave(code: int) -> NoReturn:
    """End the process. Python would first take each object of a report apart, which takes longer than a short command."""
    import threading

    if any(not one.daemon for one in threading.enumerate() if one is not threading.main_thread()):
        sys.exit(code)
    atexit._run_exitfuncs()
    with contextlib.suppress(Exception):  # the reader has gone, or what failed has been told
        sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _end(number: int, frame: object) -> NoReturn:
    """End as the signal would, and leave no file behind. An exception could be caught where it happens to be raised."""
    discard_all()
    os._exit(_BY_SIGNAL + number)


def _unraisable(unraisable: Any) -> None:
    """Send Ctrl-C again when it came in a callback of Python itself, from which no exception gets out."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    import threading

    # Later, since now it would be raised within the callback again. As a signal, since an exception of another thread would
    # not end what the main thread waits for.
    send = signal.raise_signal if os.name == "nt" else partial(os.kill, os.getpid())
    threading.Timer(0.01, send, (signal.SIGINT,)).start()
