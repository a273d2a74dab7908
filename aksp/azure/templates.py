"""The templates that definitions name by a URL: from a folder, or fetched where that is allowed."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import IO, Any, Final
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from msgspec import Struct

from aksp.azure.documents import NotImported
from aksp.errors import InvalidInput
from aksp.yaml_reader import read_file

#: The size of the largest definition that Azure takes ("Azure Policy limits": the body of a request).
LARGEST: Final = 1 << 20
_SECONDS: Final = 30.0


class TemplateUrls(Struct, frozen=True, kw_only=True):
    """Where templates of URLs are: below ``folder`` by the URL's path; else they are fetched, if ``fetch`` says so."""

    folder: Path | None = None
    fetch: bool = False

    def text(self, url: str, what: str = "template") -> str:
        """The template of a URL; ``what`` is what an error calls it. Raises NotImported."""
        try:
            address = urlsplit(url)
            host = address.hostname
        except ValueError as error:
            raise NotImported(f"{url!r} is no URL: {error}") from error
        path = self._below(unquote(address.path))
        if path is not None:
            try:
                return read_file(path)
            except InvalidInput as error:
                raise NotImported(f"{error.where}: {error.what}") from error
        if not self.fetch:
            where = f"not in {self.folder} by its path" if self.folder else "not fetched"
            raise NotImported(f"its {what} {url} is {where}: see --templates and --allow-fetch")
        if address.scheme != "https" or not host or address.username is not None:
            raise NotImported(f"its {what} {url} is not fetched: only https:// without a user is")
        return _fetched(url, what)

    def _below(self, path: str) -> Path | None:
        """The file in the folder that ends as the URL's path does; its last folder must be there too."""
        parts = [part for part in path.split("/") if part]
        if self.folder is None or not parts or any(part in (".", "..") or "\0" in part for part in parts):
            return None
        for first in range(max(len(parts) - 1, 1)):
            found = self.folder.joinpath(*parts[first:])
            if found.is_file() and found.resolve().is_relative_to(self.folder.resolve()):
                return found
        return None


class _NoRedirect(HTTPRedirectHandler):
    """Redirects are errors: only the URL that the document names is fetched."""

    def redirect_request(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str) -> None:
        raise NotImported(f"it leads on to {newurl}, which is not followed")


def _fetched(url: str, what: str) -> str:
    try:
        request = Request(url, headers={"User-Agent": "aksp"})  # noqa: S310 - the scheme was looked at
        with build_opener(_NoRedirect).open(request, timeout=_SECONDS) as answer:
            data, until = bytearray(), monotonic() + _SECONDS
            while len(data) <= LARGEST and (more := answer.read1(LARGEST)):
                data += more
                if monotonic() > until:
                    raise NotImported(f"it takes more than {_SECONDS:.0f} s")
    except NotImported as error:
        raise NotImported(f"its {what} {url} cannot be fetched: {error}") from error
    except (OSError, ValueError) as error:  # of the network, of TLS, of HTTP
        raise NotImported(f"its {what} {url} cannot be fetched: {error}") from error
    if len(data) > LARGEST:
        raise NotImported(f"its {what} {url} is larger than {LARGEST} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotImported(f"its {what} {url} is no UTF-8") from error


def embedded(info: Mapping[str, Any], text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """``templateInfo`` with the template in it, and what is kept to restore the original at export."""
    content = base64.b64encode(text.encode()).decode()
    return {"sourceType": "Base64Encoded", "content": content}, {"info": dict(info), "sha256": _digest(content)}


def as_it_came(info: Mapping[str, Any], kept: Mapping[str, Any]) -> Mapping[str, Any]:
    """``templateInfo`` as Azure had it, where the template is still the one that was fetched."""
    if kept and isinstance(content := info.get("content"), str) and kept.get("sha256") == _digest(content):
        found: Mapping[str, Any] = kept["info"]
        return found
    return info


def _digest(content: str) -> str:
    """The SHA-256 of a template in Base64."""
    try:
        return hashlib.sha256(base64.b64decode(content)).hexdigest()
    except ValueError:
        return ""
