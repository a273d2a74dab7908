"""Whether the API server asks the webhook about what an assignment judges.

The rules are written by whoever leads, after the assignment is in force there: until then nothing is
refused, whatever the assignment says.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from aksp.addon.in_force.configuration import read_rules
from aksp.addon.in_force.webhook_rules import asked_for, covered, webhook_rules
from aksp.compliance.plan import Ready
from aksp.errors import ClusterError
from aksp.kube.connection import Connection
from aksp.kube.kinds import Discovery


class WebhookCoverage(StrEnum):
    """What the webhook configuration says of the kinds of one assignment."""

    YES = "yes"
    NOT_YET = "not yet"
    """The configuration has no rule for any of them."""
    PARTLY = "partly"
    """It has rules for some of them."""
    NOT_SERVED = "not served"
    """The cluster serves none of them, so that nobody can ask."""
    NO_WEBHOOK = "no webhook"
    UNKNOWN = "unknown"
    """It could not be read."""


class CoverageReader:
    """The webhook configuration as it is when this is made; never raises."""

    def __init__(self, connection: Connection) -> None:
        self._discovery = Discovery(connection)
        self._rules = None
        self._otherwise = WebhookCoverage.NO_WEBHOOK
        try:
            self._rules = read_rules(connection)
        except ClusterError:
            self._otherwise = WebhookCoverage.UNKNOWN

    def about(self, judging: Sequence[Ready]) -> WebhookCoverage:
        """Whether requests come about all that an assignment is about. Of several kinds those that are served count."""
        if self._rules is None:
            return self._otherwise
        try:
            wanted = webhook_rules(judging, self._discovery)
        except ClusterError:
            return WebhookCoverage.UNKNOWN
        if not wanted:
            return WebhookCoverage.NOT_SERVED
        if covered(wanted, self._rules):
            return WebhookCoverage.YES
        return WebhookCoverage.PARTLY if asked_for(wanted, self._rules) else WebhookCoverage.NOT_YET
