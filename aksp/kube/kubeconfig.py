"""The kubeconfig files, found and merged as kubectl does, without the `kubernetes` package (PyYAML alone: 30 ms).

"Organizing Cluster Access Using kubeconfig Files": one file named by --kubeconfig, else every file of $KUBECONFIG, else
~/.kube/config; of two entries with one name the first counts, and so does the first current-context.
https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from aksp.errors import KubeconfigError
from aksp.yaml_reader import NoFile, open_regular

VARIABLE = "KUBECONFIG"
DEFAULT = "~/.kube/config"
SHOWN_CONTEXTS = 20
"""How many known contexts a message lists."""
CORRECT = "correct the file, or name another with --kubeconfig"


class Entry(Struct, frozen=True, kw_only=True):
    """A named context, cluster or user: its mapping and the file it stands in, which relative paths start from."""

    name: str
    value: Mapping[str, Any]
    file: Path


class Kubeconfig(Struct, frozen=True, kw_only=True):
    """What all files together say. `files` are those that exist, in order."""

    files: tuple[Path, ...]
    current: str | None
    contexts: Mapping[str, Entry]
    clusters: Mapping[str, Entry]
    users: Mapping[str, Entry]

    def context(self, name: str | None) -> Entry:
        """The context of that name, or the current one. Raises KubeconfigError naming those known."""
        where = os.pathsep.join(map(str, self.files))
        if not self.contexts:
            raise KubeconfigError("the kubeconfig has no contexts", where=where, hint=f"get credentials, {GET}")
        known = _listed(list(self.contexts))
        if name is None and self.current is None:
            raise KubeconfigError(
                f"no current context; known: {known}",
                where=where,
                hint="name one with --context or --cluster, or choose one with `kubectl config use-context`",
            )
        wanted = name if name is not None else self.current
        assert wanted is not None
        if wanted in self.contexts:
            return self.contexts[wanted]
        import difflib

        near = difflib.get_close_matches(wanted, self.contexts, n=1)
        what = f"unknown context {wanted!r}" if name is not None else f"the current context {wanted!r} does not exist"
        raise KubeconfigError(
            f"{what}; known: {known}",
            where=where,
            hint=f"did you mean {near[0]!r}?" if near else "see `kubectl config get-contexts`",
        )

    def api_server(self, name: str) -> tuple[str, str, str, bytes] | None:
        """What tells the API server of a context: its URL, TLS name, proxy and CA; None where that is not known.

        Two contexts with the same may have one cluster, as one of a user and one of an administrator. A proxy before
        several clusters can tell them by who asks.
        """
        context = self.contexts.get(name)
        cluster = self.clusters.get(str(context.value.get("cluster"))) if context else None
        if cluster is None or not isinstance(cluster.value.get("server"), str):
            return None
        value = cluster.value
        try:
            parts = urlsplit(value["server"].strip())
            port = parts.port or (443 if parts.scheme == "https" else 80)
            data = value.get("certificate-authority-data")
            file = value.get("certificate-authority")
            # Named by data a CA is base64, by a file as it is: two ways to name one.
            ca = base64.b64decode(data) if data else (cluster.file.parent / str(file)).read_bytes() if file else b""
        except (ValueError, OSError, TypeError):
            return None
        url = f"{parts.scheme}://{parts.hostname}:{port}{parts.path.rstrip('/')}"
        return url, str(value.get("tls-server-name") or ""), str(value.get("proxy-url") or ""), ca.strip()


GET = "e.g. by `az aks get-credentials --resource-group … --name …`"


def paths(kubeconfig: str | None) -> tuple[Path, ...]:
    """Where a kubeconfig is looked for. `kubeconfig`: the option's value."""
    if kubeconfig:
        return (Path(os.path.expanduser(kubeconfig)),)
    named = [part for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    return tuple(Path(os.path.expanduser(part)) for part in named or [DEFAULT])


def read(kubeconfig: str | None) -> Kubeconfig | None:
    """The merged kubeconfig; None when no file is there, or all are empty, as far as none was named by the option.

    Raises KubeconfigError for a file that cannot be read or is no kubeconfig.
    """
    files: list[Path] = []
    current: str | None = None
    merged: dict[str, dict[str, Entry]] = {"contexts": {}, "clusters": {}, "users": {}}
    for path in paths(kubeconfig):
        document = _document(path)
        if document is None:
            continue
        files.append(path)
        if current is None and document.get("current-context"):
            current = str(document["current-context"])
        for section, entries in merged.items():
            for entry in _entries(document, section, path):
                entries.setdefault(entry.name, entry)
    if files:
        return Kubeconfig(files=tuple(files), current=current, **merged)
    if kubeconfig:
        there = paths(kubeconfig)[0].exists()
        raise KubeconfigError(
            "the kubeconfig is empty" if there else "there is no such kubeconfig",
            where=kubeconfig,
            hint=f"check --kubeconfig, or get credentials, {GET}",
        )
    return None


def not_found(kubeconfig: str | None) -> KubeconfigError:
    """The error when neither a kubeconfig nor a Pod's service account is there."""
    looked = ", ".join(map(str, paths(kubeconfig)))
    return KubeconfigError(
        f"no kubeconfig found (looked at {looked}; not running in a Pod)",
        hint=f"get credentials, {GET}; or name a file with --kubeconfig or {VARIABLE}",
    )


def _document(path: Path) -> Mapping[str, Any] | None:
    """One file; None when it does not exist or is empty."""
    import yaml

    try:
        with open_regular(path) as stream:
            text = stream.read()
    except FileNotFoundError:
        return None
    except NoFile as error:
        # The file is read again for every cluster and every new token, and a pipe can be read only once.
        hint = "write it to a file, and name that"
        raise KubeconfigError(f"cannot read the kubeconfig: {error.strerror}", where=str(path), hint=hint) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise KubeconfigError(f"cannot read the kubeconfig: {reason}", where=str(path), hint=CORRECT) from error
    try:
        # The parser of libyaml, where PyYAML has it: a file with hundreds of clusters takes the other one a second.
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        # Never str(error): it quotes the line, which may hold a token. For the same reason nothing is chained.
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise KubeconfigError(f"the kubeconfig is not YAML: {problem}", where=where, hint=CORRECT) from None
    if document is None:
        return None
    if not isinstance(document, dict):
        raise KubeconfigError("this is no kubeconfig: expected a mapping", where=str(path), hint=CORRECT)
    return document


def _entries(document: Mapping[str, Any], section: str, path: Path) -> list[Entry]:
    """The entries of `contexts`, `clusters` or `users`: a list of {name, context|cluster|user}.

    A name that stands twice in one file is refused, as client-go refuses it (tools/clientcmd/api/v1, conversion.go).
    """
    found: dict[str, Entry] = {}
    listed = document.get(section) or []
    if not isinstance(listed, list):
        raise KubeconfigError(f"{section}: expected a list", where=str(path), hint=CORRECT)
    for at, item in enumerate(listed):
        if not isinstance(item, dict) or item.get("name") in (None, ""):
            raise KubeconfigError(f"{section}[{at}]: expected a mapping with a name", where=str(path), hint=CORRECT)
        value = item.get(section.removesuffix("s")) or {}
        if not isinstance(value, dict):
            key = section.removesuffix("s")
            raise KubeconfigError(f"{section}[{at}].{key}: expected a mapping", where=str(path), hint=CORRECT)
        name = str(item["name"])
        if name in found:
            what = f"{section}[{at}]: the name {name!r} stands twice in the list"
            raise KubeconfigError(what, where=str(path), hint=CORRECT)
        found[name] = Entry(name=name, value=value, file=path)
    return list(found.values())


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:SHOWN_CONTEXTS])
    more = len(names) - SHOWN_CONTEXTS
    return f"{shown} and {more} more" if more > 0 else shown
