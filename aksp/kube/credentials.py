"""One context's cluster and user, checked: what kubectl would refuse is refused here, with the field's name.

The `kubernetes` package takes more than kubectl: it scans as nobody when the user is missing, leaves TLS unverified for
`insecure-skip-tls-verify: "false"`, overlooks impersonation, and looks for a user's files beside the cluster's
kubeconfig. So it is given a document of this one context, with checked fields and absolute paths.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from msgspec import Struct

from aksp.errors import KubeconfigError
from aksp.kube.kubeconfig import CORRECT, Entry, Kubeconfig
from aksp.yaml_reader import open_regular

PROVIDERS = ("gcp", "oidc")
"""The auth-providers that the `kubernetes` package still knows; kubectl has removed azure and gcp in 1.26."""
PEM = b"-----BEGIN "


class ContextCredentials(Struct, frozen=True, kw_only=True):
    """A context that can be loaded.

    `document`: a kubeconfig of this context alone. `secrets`: the values that no message may show. `persistent`: the
    user's tokens are refreshed and written back, so the package must load the `files` themselves. `command`: of the
    exec plugin, and its installation hint.
    """

    context: str
    namespace: str
    server: str
    user: str | None
    files: tuple[Path, ...]
    document: dict[str, Any]
    impersonation: tuple[tuple[str, str], ...]
    secrets: tuple[str, ...]
    persistent: bool
    insecure: bool
    command: str | None
    install: str | None


def target(config: Kubeconfig, name: str | None) -> ContextCredentials:
    """The context `name`, or the current one. Raises KubeconfigError with file and field."""
    context = config.context(name)
    cluster = _cluster(_referred(context, "cluster", config.clusters), context)
    user_entry = _referred(context, "user", config.users)
    user = _user(user_entry) if user_entry else {}
    plugin = user.get("exec") or {}
    pair = {"cluster": "cluster"} | ({"user": "user"} if user_entry else {})
    return ContextCredentials(
        context=context.name,
        namespace=str(context.value.get("namespace") or "default"),
        server=cluster["server"],
        user=user_entry.name if user_entry else None,
        files=config.files,
        document={
            "current-context": context.name,
            "contexts": [{"name": context.name, "context": pair}],
            "clusters": [{"name": "cluster", "cluster": cluster}],
            "users": [{"name": "user", "user": user}] if user_entry else [],
        },
        impersonation=_impersonation(user),
        secrets=_secrets(user),
        persistent="auth-provider" in user,
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        command=plugin.get("command"),
        install=plugin.get("installHint"),
    )


def _referred(context: Entry, role: str, entries: Mapping[str, Entry]) -> Entry | None:
    """The cluster or user that the context names; None when it names none."""
    name = context.value.get(role)
    if name in (None, ""):
        return None
    if str(name) not in entries:
        raise KubeconfigError(
            f"context {context.name!r} names {role} {str(name)!r}, which is not there",
            where=str(context.file),
            hint=CORRECT,
        )
    return entries[str(name)]


def _cluster(entry: Entry | None, context: Entry) -> dict[str, Any]:
    if entry is None:
        raise KubeconfigError(f"context {context.name!r} names no cluster", where=str(context.file), hint=CORRECT)
    field = _EntryFields(entry, "clusters")
    for key in ("server", "certificate-authority", "certificate-authority-data", "tls-server-name", "proxy-url"):
        field.must_be(key, str, "a string")
    field.must_be("insecure-skip-tls-verify", bool, "true or false")
    server = field.value.get("server", "")
    if not server.lower().startswith(("https://", "http://")):
        raise field.wrong("server", "expected a URL, https://…")
    try:
        urlsplit(server)
    except ValueError as error:
        raise field.wrong("server", f"this is no URL: {error}") from None
    field.file("certificate-authority")
    return field.value


def _user(entry: Entry) -> dict[str, Any]:
    field = _EntryFields(entry, "users")
    texts = ("token", "tokenFile", "username", "password", "as", "as-uid")
    for key in (*texts, "client-certificate", "client-certificate-data", "client-key", "client-key-data"):
        field.must_be(key, str, "a string")
    field.must_be("exec", dict, "a mapping")
    field.must_be("auth-provider", dict, "a mapping")
    field.must_be("as-groups", list, "a list")
    field.must_be("as-user-extra", dict, "a mapping")
    for header, value in _impersonation(field.value):
        if not (value.isascii() and value.isprintable()):
            raise field.wrong("as", f"{header} holds characters that no header has (line ends, other than ASCII)")
    for key in ("client-certificate", "client-key"):
        field.file(key)
    halves = [any(key + end in field.value for end in ("", "-data")) for key in ("client-certificate", "client-key")]
    if halves[0] != halves[1]:
        raise field.wrong("client-key" if halves[0] else "client-certificate", "missing beside its other half")
    if "tokenFile" in field.value:
        field.path("tokenFile")
        # The file is kept fresh; the token beside it may be old (client-go prefers the file too).
        field.value.pop("token", None)
    if (provider := field.value.get("auth-provider")) and provider.get("name") not in PROVIDERS:
        raise field.wrong(
            "auth-provider.name",
            f"{provider.get('name')!r} is not supported any more",
            hint="convert it with `kubelogin convert-kubeconfig`, or get credentials anew, `az aks get-credentials`",
        )
    if "exec" in field.value:
        field.value["exec"] = _plugin(field)
    return field.value


def _plugin(field: _EntryFields) -> dict[str, Any]:
    """client-go: Credential Plugins, "Configuration". Nulls count as absent."""
    plugin = {key: value for key, value in field.value["exec"].items() if value is not None}
    for key in ("command", "apiVersion"):
        if not isinstance(plugin.get(key), str) or not plugin[key]:
            raise field.wrong(f"exec.{key}", "expected a string")
    arguments = plugin.get("args", [])
    if not isinstance(arguments, list) or not all(isinstance(each, str) for each in arguments):
        raise field.wrong("exec.args", "expected a list of strings")
    variables = plugin.get("env", [])
    if not isinstance(variables, list) or not all(
        isinstance(each, dict) and isinstance(each.get("name"), str) and isinstance(each.get("value"), str)
        for each in variables
    ):
        raise field.wrong("exec.env", "expected a list of {name, value}")
    command = plugin["command"]
    if "/" in command or "\\" in command:
        plugin["command"] = str(field.entry.file.absolute().parent / command)
    return plugin


class _EntryFields:
    """The fields of one entry, copied, and the errors about them."""

    def __init__(self, entry: Entry, section: str) -> None:
        self.entry = entry
        self.value = {str(key): value for key, value in entry.value.items() if value not in (None, "")}
        self._section = section

    def wrong(self, key: str, what: str, *, hint: str = CORRECT) -> KubeconfigError:
        name = f"{self._section}[{self.entry.name}].{key}"
        return KubeconfigError(f"{name}: {what}", where=str(self.entry.file), hint=hint)

    def must_be(self, key: str, kind: type, expected: str) -> None:
        if key in self.value and not isinstance(self.value[key], kind):
            raise self.wrong(key, f"expected {expected}")

    def path(self, key: str) -> None:
        """Make a file's path absolute, from the kubeconfig's folder; it must be readable."""
        path = self.entry.file.absolute().parent / os.path.expanduser(self.value[key])
        self.value[key] = str(path)
        try:
            open_regular(path).close()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise self.wrong(key, f"cannot read {path}: {reason}") from error

    def file(self, key: str) -> None:
        """A PEM file, or its base64 under `<key>-data`, which goes before."""
        data = f"{key}-data"
        if data not in self.value:
            if key in self.value:
                self.path(key)
            return
        self.value.pop(key, None)
        try:
            # Go's decoder skips line ends, nothing else.
            content = base64.b64decode("".join(self.value[data].split()), validate=True)
        except (binascii.Error, ValueError):
            raise self.wrong(data, "this is not base64") from None
        if PEM not in content:
            raise self.wrong(data, "this is base64, but of no PEM certificate or key")


def _impersonation(user: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Authenticating, "User impersonation": the headers for as, as-uid, as-groups, as-user-extra."""
    headers = [("Impersonate-User", user["as"])] if "as" in user else []
    headers += [("Impersonate-Uid", user["as-uid"])] if "as-uid" in user else []
    headers += [("Impersonate-Group", str(group)) for group in user.get("as-groups", [])]
    for key, values in user.get("as-user-extra", {}).items():
        # client-go escapes what no header's name may hold, such as the slash of example.com/project.
        name = quote(str(key), safe="!#$&'*+^`|")
        headers += [(f"Impersonate-Extra-{name}", str(value)) for value in values or []]
    return tuple(headers)


def _secrets(user: Mapping[str, Any]) -> tuple[str, ...]:
    """Every value that is a credential: of the user, of the auth-provider, of the plugin's environment."""
    found = [user.get(key) for key in ("token", "password", "client-key-data")]
    provider = user.get("auth-provider", {}).get("config") or {}
    found += [value for key, value in provider.items() if "token" in key or "secret" in key]
    found += [variable["value"] for variable in user.get("exec", {}).get("env", [])]
    return tuple(text for text in found if isinstance(text, str) and len(text) > 3)
