"""Which cluster a command means, and the way to it: what --cluster, --context and --kubeconfig say together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from msgspec import Struct

from aksp.cli.ci import note
from aksp.cli.options import CURRENT, ClusterOption, ContextOption, KubeconfigOption, TimeoutOption

if TYPE_CHECKING:
    from aksp.kube.connection import Connection
    from aksp.model.compliance import Target
    from aksp.model.scope import Scope
    from aksp.model.scope_tree import ScopeTree


class ClusterChoice(Struct, frozen=True, kw_only=True):
    """The options of a command that name a cluster, as they were given. ``request_timeout`` is in seconds."""

    cluster: str | None = None
    context: str | None = None
    kubeconfig: str | None = None
    request_timeout: float | None = None

    @property
    def given(self) -> bool:
        """Whether any option names a cluster."""
        return bool(self.cluster or self.context or self.kubeconfig)

    @property
    def named(self) -> str | None:
        """The name that --cluster gives; None without --cluster, or without its name."""
        return None if self.cluster == CURRENT else self.cluster

    def name(self) -> str:
        """The cluster's name in scopes, found without connecting. Raises KubeconfigError where no context is current."""
        from aksp.errors import KubeconfigError
        from aksp.kube.kubeconfig import not_found, read

        if name := self.named or self.context:
            return name
        config = read(self.kubeconfig)
        if config is None or config.current is None:
            what = not_found(self.kubeconfig).what if config is None else "there is no current context"
            raise KubeconfigError(what, hint="name the cluster: --cluster NAME, or give --kubeconfig")
        return config.current

    @contextmanager
    def connected(self, tell: Callable[[str], None] = note) -> Iterator[Connection]:
        """The cluster, connected; warnings about the connection are told. Raises ClusterError."""
        from aksp.kube.config import READ_SECONDS, connect

        timeout = READ_SECONDS if self.request_timeout is None else self.request_timeout
        with connect(self.context or self.named, self.kubeconfig, request_timeout=timeout) as connection:
            for warning in connection.warnings:
                tell(warning)
            yield connection

    def name_of(self, connection: Connection) -> str:
        """The name in scopes of the cluster that is connected."""
        return self.named or connection.name

    def target(self, connection: Connection) -> Target:
        """The cluster that is connected, as what is evaluated."""
        from aksp.model.compliance import Target, TargetKind
        from aksp.model.scope import Scope

        name = self.name_of(connection)
        return Target(kind=TargetKind.CLUSTER, name=name, scope=str(Scope.cluster(name)), server=connection.server)


def _cluster(
    cluster: ClusterOption = None,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    request_timeout: TimeoutOption = 60,
) -> ClusterChoice:
    return ClusterChoice(cluster=cluster, context=context, kubeconfig=kubeconfig, request_timeout=request_timeout)


#: The options of the commands that connect to one cluster.
ClusterOptions = Annotated[ClusterChoice, _cluster]


def named_clusters(clusters: Sequence[str] | None, kubeconfig: str | None) -> list[str]:
    """The names of the clusters of a repeated --cluster. Raises KubeconfigError where no context is current."""
    return [ClusterChoice(cluster=one, kubeconfig=kubeconfig).name() for one in clusters or ()]


def scope_of(scope: str | None, choice: ClusterChoice) -> Scope:
    """The scope that --scope or --cluster gives; everything without them. Raises InvalidInput."""
    from aksp.errors import InvalidInput
    from aksp.model.scope import EVERYWHERE, Scope

    if scope and choice.cluster:
        raise InvalidInput("--scope and --cluster are two ways to say the same", hint="give one of them")
    try:
        return Scope.cluster(choice.name()) if choice.cluster else Scope.parse(scope) if scope else EVERYWHERE
    except ValueError as error:
        raise InvalidInput(str(error)) from error


def unreached(scope: Scope, tree: ScopeTree, kubeconfig: str | None) -> str | None:
    """A note that no cluster is known at a scope yet; None when one is known, or the scope is everything."""
    if scope.path == "/":
        return None
    if scope.cluster_name is not None:
        unknown = unknown_cluster(scope, kubeconfig)
        return f"{unknown[0]}, so the assignment reaches nothing until one is; {unknown[1]}" if unknown else None
    from aksp.model.scope import Scope

    places = (tree.place(Scope.cluster(one.cluster)) for one in tree.clusters)
    if any(scope.meets(place.scope) for place in places):
        return None
    return (
        f"no cluster of the scope tree lies at {scope}, so the assignment reaches nothing until one does"
        " (`aksp scope add` says where clusters lie)"
    )


def unknown_cluster(scope: Scope, kubeconfig: str | None) -> tuple[str, str] | None:
    """A note that no kubeconfig context is the cluster that a scope names, with those that exist; None when one is."""
    from aksp.errors import ClusterError
    from aksp.kube.config import IN_CLUSTER, contexts
    from aksp.model.scope import Scope

    try:
        known = contexts(kubeconfig)
    except ClusterError:
        known = []
    if any(Scope.cluster(name).covers(scope) for name in (*known, IN_CLUSTER)):
        return None
    there = f"there are: {', '.join(known)}" if known else "there is none at all"
    return f"no kubeconfig context is called {scope.path.split('/')[2]}", there
