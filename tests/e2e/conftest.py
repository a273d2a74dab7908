"""One real control plane for all end-to-end tests, and aksp to run against it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.e2e.addon import AddOn
from tests.e2e.command import Aksp
from tests.e2e.meddler import Meddled, Meddler
from tests.e2e.objects import OUR_REGISTRY, OWN_MESSAGE, Object, Place, namespace, pod
from tests.kube.apiserver import Authority
from tests.testbed.build import CONTROL_PLANE, BuildError, cache_folder, control_plane
from tests.testbed.controlplane import ControlPlane

REQUIRED = "AKSP_E2E_REQUIRED"
"""Set to 1 where a test that is skipped has not passed."""


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    """The control plane. Its binaries are built when they are missing and Go is there."""
    with pytest.MonkeyPatch.context() as patch:
        cached = cache_folder("AKSP_TESTBED_DIR", "testbed")
        if shutil.which("go") is None and CONTROL_PLANE.complete(cached):
            # Without Go nobody can tell whether they are up to date; they are what there is.
            patch.setenv("KUBEBUILDER_ASSETS", str(cached))
        try:
            control_plane()
        except BuildError as error:
            reason = f"no control plane: {error}; `make e2e` builds one"
            if os.environ.get(REQUIRED) not in (None, "", "0"):
                pytest.fail(f"{reason} ({REQUIRED} is set)")
            pytest.skip(reason)
        with ControlPlane() as running:
            yield running


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "meddler")


@pytest.fixture
def aksp(plane: ControlPlane, tmp_path: Path) -> Aksp:
    """aksp with an empty workspace, its current context the testbed."""
    return Aksp(folder=tmp_path, kubeconfig=plane.kubeconfig)


@pytest.fixture
def meddled(plane: ControlPlane, authority: Authority) -> Meddled:
    """A proxy with these faults before the API server, for a `with` block."""
    return lambda *faults: Meddler(plane, authority, faults)


@pytest.fixture(scope="module")
def enabled(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> AddOn:
    """The add-on on the session's control plane, not enabled yet, and the module's PLACE, a namespace."""
    folder = tmp_path_factory.mktemp("addon")
    plane.apply([namespace(request.module.PLACE)])
    return AddOn(plane=plane, aksp=Aksp(folder=folder, kubeconfig=plane.kubeconfig), folder=folder)


@pytest.fixture(scope="module")
def addon(enabled: AddOn) -> Iterator[AddOn]:
    """The same, enabled and with one replica. A module whose replicas are others has a fixture of this name itself."""
    enabled.enable()
    enabled.start()
    yield enabled
    enabled.unassign()
    enabled.stop()


@pytest.fixture
def images(addon: AddOn, request: pytest.FixtureRequest) -> Iterator[str]:
    """Nothing is assigned but allowed-images, which is enforced and has a message of its own; its name."""
    addon.unassign()
    name = addon.assign("allowed-images", parameters=OUR_REGISTRY, nonComplianceMessages=[{"message": OWN_MESSAGE}])
    addon.enforced(name, pod("probe", request.module.PLACE))
    yield name
    addon.unassign()


@pytest.fixture(scope="session")
def place(plane: ControlPlane) -> Place:
    """Makes a namespace with these objects, once a session; returns its name."""
    known: set[str] = set()

    def there(name: str, objects: Sequence[Object]) -> str:
        if name not in known:
            plane.apply([namespace(name), *objects])
            known.add(name)
        return name

    return there
