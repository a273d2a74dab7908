"""aksp import azure: templates at URLs come from a folder or, where that is allowed, over HTTPS; and go back as URLs."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from aksp.addon.webhook import certificates
from aksp.azure.templates import LARGEST
from tests.azure.builders import CLUSTER, TEMPLATE, assignment, definition, text
from tests.cli.conftest import Aksp, Run

MAPPED = ("--scope-map", f"{CLUSTER}=/clusters/prod")
ANSWERS: dict[str, tuple[int, bytes]] = {
    "/kubernetes/team/v1/template.yaml": (200, TEMPLATE.encode()),
    "/large": (200, b"#" * (LARGEST + 1)),
    "/elsewhere": (302, b""),
    "/binary": (200, b"\xff\xfe\x00\xff"),
    "/other": (200, b"kind: Pod\n"),
}


class Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        code, body = ANSWERS.get(self.path, (404, b""))
        self.send_response(code)
        self.send_header("Location", "/kubernetes/team/v1/template.yaml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass  # the client has read enough

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("tls")
    now = datetime.now(UTC)
    authority = certificates.make_authority(now)
    serving = certificates.issue(authority, ["127.0.0.1"], now)
    (folder / "ca.pem").write_bytes(authority.certificate)
    (folder / "tls.pem").write_bytes(serving.certificate + serving.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.pem")
    one = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    one.socket = context.wrap_socket(one.socket, server_side=True)
    thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"https://127.0.0.1:{one.server_port}", folder / "ca.pem"
    one.shutdown()
    one.server_close()
    thread.join()


def imported(aksp: Aksp, url: str, *options: str) -> Run:
    one = definition(templateInfo={"sourceType": "PublicURL", "url": url})
    mine = assignment(
        "mine", policyDefinitionId=one["id"], definitionVersion=None, parameters={"label": {"value": "team"}}
    )
    return aksp("import", "azure", aksp.put("azure.json", text([one, mine])), *MAPPED, *options)


@pytest.mark.parametrize("path", ["kubernetes/team/v1/template.yaml", "team/v1/template.yaml", "v1/template.yaml"])
def test_a_template_is_found_in_a_folder_by_the_end_of_its_url(aksp: Aksp, path: str) -> None:
    aksp.put(f"had/{path}", TEMPLATE)
    url = "https://store.invalid/kubernetes/team/v1/template.yaml"
    assert imported(aksp, url, "--templates", "had").code == 0
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "shop"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    assert aksp.judge(aksp.put("pod.json", pod)).states == [("p", "NonCompliant")]

    exported = {one["name"]: one for one in aksp.done("export", "azure").json["value"]}
    details = exported["Require-Team"]["properties"]["policyRule"]["then"]["details"]
    assert details["templateInfo"] == {"sourceType": "PublicURL", "url": url}


@pytest.mark.parametrize("path", ["template.yaml", "v2/template.yaml", "../kubernetes/team/v1/template.yaml"])
def test_a_file_that_only_has_its_name_is_another(aksp: Aksp, path: str) -> None:
    aksp.put(f"had/{path}", TEMPLATE)
    (aksp.folder / "had").mkdir(exist_ok=True)
    run = imported(aksp, "https://store.invalid/../kubernetes/team/v1/template.yaml", "--templates", "had")
    assert run.code == 4 and "not in had by its path" in run.err


def test_a_link_does_not_lead_out_of_the_folder(aksp: Aksp) -> None:
    aksp.put("secret/template.yaml", TEMPLATE)
    (aksp.folder / "had").mkdir()
    (aksp.folder / "had" / "v1").symlink_to(aksp.folder / "secret")
    assert imported(aksp, "https://store.invalid/v1/template.yaml", "--templates", "had").code == 4


def test_a_changed_template_goes_out_itself(aksp: Aksp) -> None:
    aksp.put("had/v1/template.yaml", TEMPLATE)
    imported(aksp, "https://store.invalid/v1/template.yaml", "--templates", "had")
    path = aksp.workspace / "definitions" / "require-team" / "definition.json"
    document = json.loads(path.read_text())
    changed = definition()["properties"]["policyRule"]["then"]["details"]["templateInfo"]["content"][:-4] + "fQoK"
    document["properties"]["policyRule"]["then"]["details"]["templateInfo"]["content"] = changed
    path.write_text(json.dumps(document))
    exported = {one["name"]: one for one in aksp.done("export", "azure").json["value"]}
    details = exported["Require-Team"]["properties"]["policyRule"]["then"]["details"]
    assert details["templateInfo"] == {"sourceType": "Base64Encoded", "content": changed}


def test_it_is_fetched_where_that_is_allowed_and_its_hash_is_kept(
    aksp: Aksp, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, authority = server
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    url = f"{address}/kubernetes/team/v1/template.yaml"
    run = imported(aksp, url)
    assert run.code == 4 and "--allow-fetch" in run.err
    assert imported(aksp, url, "--allow-fetch").code == 0
    document = yaml.safe_load((aksp.workspace / "definitions" / "require-team" / "definition.json").read_text())
    kept = document["properties"]["metadata"]["azureDocument"]["template"]
    assert kept["info"] == {"sourceType": "PublicURL", "url": url} and len(kept["sha256"]) == 64
    # The same again is the same.
    assert "unchanged" in imported(aksp, url, "--allow-fetch").out


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/large", "is larger than"), ("/elsewhere", "which is not followed"), ("/binary", "is no UTF-8"),
        ("/nothing", "404"), ("/other", "not a ConstraintTemplate"),
    ],
)  # fmt: skip
def test_what_cannot_be_fetched_is_named_and_the_rest_works(
    aksp: Aksp, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, path: str, said: str
) -> None:
    address, authority = server
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    run = imported(aksp, address + path, "--allow-fetch")
    assert run.code == 4 and said in run.err and "policyAssignment mine: not imported" in run.err


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/x", "file:///etc/passwd", "https://u:p@store.invalid/x", "https://[", "", "x"]
)
def test_nothing_but_https_is_asked(aksp: Aksp, url: str) -> None:
    run = imported(aksp, url, "--allow-fetch")
    assert run.code == 4 and ("only https://" in run.err or "is no URL" in run.err)


def test_an_unknown_authority_is_not_trusted(aksp: Aksp, server: tuple[str, Path]) -> None:
    run = imported(aksp, f"{server[0]}/kubernetes/team/v1/template.yaml", "--allow-fetch")
    assert run.code == 4 and "CERTIFICATE_VERIFY_FAILED" in run.err


def test_the_namespaces_that_azure_leaves_out_unasked_are_left_out_and_do_not_go_back(aksp: Aksp) -> None:
    one = assignment(parameters={"effect": {"value": "deny"}, "excludedNamespaces": {"value": []}})
    aksp.put("azure.json", text([one]))
    aksp.done("import", "azure", "azure.json", *MAPPED)
    for namespace in ("kube-system", "gatekeeper-system", "azure-arc", "shop"):
        pod = {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": namespace, "namespace": namespace},
            "spec": {"containers": [{"name": "c", "image": "i", "securityContext": {"privileged": True}}]},
        }  # fmt: skip
        aksp.put(f"pods/{namespace}.json", pod)
    assert aksp.judge("pods").states == [("shop", "NonCompliant")]
    (exported,) = aksp.done("export", "azure").json["value"]
    assert "notScopes" not in exported["properties"]
