"""Shell completion: how a shell is answered.

Whatever goes wrong, nothing is printed: the shell would show it in the middle of the line that is being typed.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator, Sequence

from aksp.cli.candidates import VARIABLE

#: The characters of ``COMP_WORDBREAKS`` that occur in our values: bash passes ``arn:aws:x`` as five words.
_BREAKS = "=:"
_SPECIAL_TO_BASH = re.compile(r"[^\w@%+=:,./~-]")
#: A backslash, or one of the three uses that typer's output for zsh has for it.
_BACKSLASH = re.compile(r"\\\\:|\\[$`]|\\")


def entry() -> int:
    """Answer the shell that has set `VARIABLE`, and return the exit code that its script expects."""
    if os.environ.get(VARIABLE) != "complete_bash":
        lines, code = _asked()
        sys.stdout.writelines(line + "\n" for line in lines)
        return code
    words = os.environ.get("COMP_WORDS", "").split("\n")
    at = os.environ.get("COMP_CWORD", "0")
    words, at_word, given = joined(words, int(at) if at.isdecimal() else 0)
    os.environ |= {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(at_word)}
    lines, code = _asked()
    for line in lines:
        # Without the part before the last break: bash keeps that itself.
        print(_SPECIAL_TO_BASH.sub(r"\\\g<0>", line.removeprefix(given)))
    return code


def for_kubectl(arguments: Sequence[str]) -> Iterator[str]:
    """The lines that ``kubectl`` wants from a plugin's completion program: values with helps, then a directive.

    The last argument is the word that is being typed. Cobra, "Dynamic completion of nouns": 4 is "no files", 0 leaves
    it to the shell, which then offers files.
    """
    import shlex

    os.environ |= {
        VARIABLE: "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": shlex.join(["aksp", *arguments]),
    }
    lines, _ = _asked()
    yield from lines
    yield ":4" if lines else ":0"


def _asked() -> tuple[list[str], int]:
    """typer's answer to the environment that its scripts set. Scripts of older versions set the same."""
    from aksp.cli.root import command

    # With rich, typer breaks long helps over lines, and each line becomes a value; it also takes twice the time.
    sys.modules["rich"] = None  # type: ignore[assignment]
    said = io.StringIO()
    code: object = 1
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        try:
            command().main([], prog_name="aksp", standalone_mode=False)
        except SystemExit as end:
            code = end.code
        except Exception:  # noqa: BLE001 - see above: an error has no place in a line that is being typed
            said.truncate(0)
    lines = [line for line in said.getvalue().splitlines() if line and line.replace("\t", " ").isprintable()]
    if os.environ[VARIABLE] == "complete_zsh":
        # Its script evaluates them, and typer does not escape the backslash: a name such as \$(…) would be run.
        lines = [_BACKSLASH.sub(lambda found: found[0] if len(found[0]) > 1 else "", line) for line in lines]
    return lines, code if isinstance(code, int) else 1


def joined(words: Sequence[str], at: int) -> tuple[list[str], int, str]:
    """The words as they were typed, the index of the current one, and the part of its value before the last break.

    bash breaks words at = and :, and gives the breaks as words of their own.
    """
    whole: list[str] = []
    glue = False
    for word in words[: at + 1]:
        is_break = bool(word) and not word.strip(_BREAKS)
        if len(whole) > 1 and (is_break or glue):
            whole[-1] += word
        else:
            whole.append(word)
        glue = is_break
    typed = whole[-1] if whole else ""
    before = typed[: max(typed.rfind(mark) for mark in _BREAKS) + 1] if len(whole) <= at else ""
    return whole, len(whole) - 1, before.partition("=")[2] if before.startswith("-") else before
