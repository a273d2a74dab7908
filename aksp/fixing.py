"""Manifests changed so that findings disappear, which is proven by judging again: nothing else may come of a change."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from aksp.compliance.fingerprints import identity
from aksp.compliance.fixes import unsafe
from aksp.compliance.strategic import steps
from aksp.model.compliance import ComplianceState, Gap, Report, Result
from aksp.model.resource import Resource
from aksp.sources.lines import DocumentText, FileSource
from aksp.yaml_edit import CannotEdit, edited

#: Judges with the texts of files in place of what they hold.
Judge = Callable[[Mapping[str, bytes]], Report]

#: Rounds: a change may leave another finding to change the same field, which is known once it is judged again, and of
#: n changes one that must not be made is found in about 2 log2(n).
ROUNDS: Final = 60

#: Bytes of a document times its findings: each change reads it whole, 1 MB of them in a second.
MOST_WORK: Final = 20_000_000

NO_FIX: Final = "no single right fix"
_UNSAFE: Final = "the change might break what refers to it"
_USELESS: Final = "the change of the rule would not make it comply"
_CONFLICT: Final = "other findings ask for other values there"
_LATE: Final = f"not reached in {ROUNDS} rounds of changes: run it again"

_Key = tuple[str, ...]
_Object = tuple[Resource, str]


class Left(Struct, frozen=True, kw_only=True):
    """A violation that is left, and why."""

    result: Result
    why: str


class Fixed(Struct, frozen=True, kw_only=True):
    """The new texts of the files that change, what was fixed by file, what is left, and what could not be judged."""

    texts: Mapping[str, bytes]
    done: Mapping[str, Sequence[Result]]
    left: Sequence[Left]
    gaps: Sequence[Gap]


def fixed(judge: Judge, read: Callable[[str], bytes | str]) -> Fixed:
    """Change texts in rounds until nothing more can be.

    ``read`` gives the bytes of a file, or says why it must stay as it is.
    """
    texts: dict[str, bytes] = {}
    done: dict[str, list[Result]] = {}
    skipped: dict[_Key, str] = {}
    #: Suspects that wait while fewer of them are tried, and the object whose suspects they are: None of all.
    held: dict[_Key, _Object | None] = {}
    changed = False
    report = judge(texts)
    for _ in range(ROUNDS):
        attempt = _Attempt(report, texts, read, skipped, held)
        if not attempt.done:
            if held:
                held = {}
            elif changed:
                # What could not be changed before the other changes may be possible now.
                skipped, changed = {}, False
            else:
                why = _CONFLICT
                break
            continue
        after = judge(attempt.texts)
        blamed = _blamed(report, after, attempt.done)
        for about, suspects in blamed:
            if len(suspects) == 1:
                skipped |= suspects
                held = {key: each for key, each in held.items() if each != about}
            else:
                held |= dict.fromkeys(list(suspects)[len(suspects) // 2 :], about)
        if not blamed:
            texts, report, held, changed = attempt.texts, after, {}, True
            for one in attempt.done:
                assert one.source is not None  # it was changed there
                done.setdefault(one.source.file, []).append(one)
    else:
        why = _LATE
    left = [Left(result=one, why=skipped.get(_key(one), why)) for one in _violations(report)]
    return Fixed(texts=texts, done=done, left=left, gaps=report.gaps)


class _Attempt:
    """One round: what can be changed at once, in new texts. What cannot is noted in ``skipped``."""

    def __init__(
        self,
        report: Report,
        texts: Mapping[str, bytes],
        read: Callable[[str], bytes | str],
        skipped: dict[_Key, str],
        held: Collection[_Key],
    ) -> None:
        self.texts = dict(texts)
        self.done: list[Result] = []
        self._skipped, self._read = skipped, read
        unreadable = {gap.source.file: gap.message for gap in report.gaps if gap.source is not None}
        documents: dict[DocumentText, list[Result]] = {}
        for one in _violations(report):
            if _key(one) in skipped or _key(one) in held:
                continue
            why = _obstacle(one) or (
                f"the file cannot be read whole: {unreadable[one.source.file]}"
                if one.source is not None and one.source.file in unreadable
                else None
            )
            if why is not None:
                skipped[_key(one)] = why
            elif isinstance(one.source, FileSource):
                documents.setdefault(one.source.text, []).append(one)
        # From the end of a file to its beginning, so that the places before stay right. Items of a list are in one text.
        by_text: dict[tuple[str, int, int], list[tuple[str, Result]]] = {}
        for text, results in documents.items():
            by_text.setdefault((text.file, text.offset, text.length), []).extend((text.item, one) for one in results)
        for place, items in sorted(by_text.items(), reverse=True):
            self._change(place, items)

    def _change(self, place: tuple[str, int, int], items: Iterable[tuple[str, Result]]) -> None:
        """Change one document for as many of its findings as do not contradict one another."""
        file, offset, length = place
        items = list(items)
        if length * len(items) > MOST_WORK:
            why = "the document is too large for so many changes: write its objects into files of their own"
            self._skipped |= {_key(one): why for _, one in items}
            return
        whole = self.texts.get(file)
        if whole is None:
            read = self._read(file)
            if isinstance(read, str):
                self._skipped |= {_key(one): read for _, one in items}
                return
            whole = read
        try:
            text = whole[offset : offset + length].decode()
        except UnicodeDecodeError:
            self._skipped |= {_key(one): "the file is no UTF-8" for _, one in items}
            return
        before, values = text, dict[str, str]()
        for item, one in items:
            wanted = {item + path: value for path, value in (one.finding.fix or {}).items()}
            if any(values.get(path, encoded) != encoded for path, encoded in _encoded(wanted)):
                continue  # the next round tells what is wanted then
            try:
                changed = text
                for path, value in wanted.items():
                    changed = edited(changed, steps(path) or (), value)
            except CannotEdit as error:
                self._skipped[_key(one)] = str(error)
                continue
            text = changed
            values |= dict(_encoded(wanted))
            self.done.append(one)
        if text != before:
            self.texts[file] = whole[:offset] + text.encode() + whole[offset + length :]


def _encoded(wanted: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(path, json.dumps(value, sort_keys=True)) for path, value in wanted.items()]


def _obstacle(one: Result) -> str | None:
    """Why a violation is left as it is, before its text is looked at."""
    if not one.finding.fix or one.source is None:
        return NO_FIX
    if unsafe(one):
        return _UNSAFE
    for path, value in one.finding.fix.items():
        if path.endswith(".image"):
            # Another image is another program until somebody has put the same one there.
            return f"{NO_FIX}: {value} would comply, once the image is there"
    return None if all(steps(path) for path in one.finding.fix) else NO_FIX


def _blamed(before: Report, after: Report, done: Sequence[Result]) -> list[tuple[_Object | None, Mapping[_Key, str]]]:
    """Suspects, one of which at least must not be made, with why, and the object that they change, None for several: a
    finding stays, or another one comes, or a gap."""
    was, now = _counted(before), _counted(after)
    expected = Counter(map(_key, done))
    useless = {key for key, number in expected.items() if now[key] > was[key] - number}
    if useless:
        return [(_object(one), {_key(one): _USELESS}) for one in done if _key(one) in useless]
    blamed: dict[_Object | None, dict[_Key, str]] = {}
    for one in _findings(after):
        if now[_key(one)] > was[_key(one)]:
            why = f"the change would bring another finding: {one.assignment.name}: {one.finding.message}"
            near = [each for each in done if _object(each) == _object(one)]
            blamed.setdefault(_object(one) if near else None, {}).update({_key(each): why for each in near or done})
    # Their messages may count what they are about.
    gaps = Counter(gap.reason for gap in after.gaps) - Counter(gap.reason for gap in before.gaps)
    if gaps and not blamed:
        blamed[None] = {_key(each): f"the change would bring a gap: {next(iter(gaps))}" for each in done}
    return list(blamed.items())


def _object(one: Result) -> _Object:
    return one.resource, one.source.file if one.source else ""


def _counted(report: Report) -> Counter[_Key]:
    return Counter(map(_key, _findings(report)))


def _findings(report: Report) -> list[Result]:
    return [one for one in report.results if one.state.is_finding and one.state is not ComplianceState.EXEMPT]


def _violations(report: Report) -> list[Result]:
    return [one for one in report.results if one.state is ComplianceState.NON_COMPLIANT]


def _key(one: Result) -> _Key:
    """What makes a finding the same after a change: not its message, which tells what was found there."""
    return (*identity(one), one.source.file if one.source else "", one.state)
