"""``aksp exemptions``: what is exempt, in the workspace or in a cluster."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from aksp.cli import candidates
from aksp.cli.document_commands import add_document_commands
from aksp.cli.groups import list_command, with_shared_options
from aksp.cli.listing import print_list
from aksp.cli.options import ListFormat, OutputOption, duration
from aksp.cli.stores import StoreOptions

if TYPE_CHECKING:
    from aksp.model.assignment import Exemption

PLACE = 26

app = typer.Typer(invoke_without_command=True)
ExpiringOption = Annotated[
    str | None,
    typer.Option("--expiring", metavar="DURATION", help="Only those that end within this time, as in 30d."),
]

_HEADERS = ("NAME", "ASSIGNMENT", "CATEGORY", "ENDS", "STATUS", "COVERS")


@list_command(app, "The exemptions of the workspace, or of a cluster.\n\nExample: `aksp exemptions --expiring 30d`")
@with_shared_options
def list_exemptions(
    *,
    expiring: ExpiringOption = None,
    output: OutputOption = ListFormat.TABLE,
    chosen: StoreOptions,
) -> None:
    """List the exemptions, and whether they are in force.

    Example: `aksp exemptions --expiring 30d`
    """
    from aksp.cli.covered import covers_words
    from aksp.compliance.exemptions import ends_within
    from aksp.model.times import rfc3339
    from aksp.store.cluster import label
    from aksp.store.documents import document_of

    chosen.check()
    within = duration("--expiring", expiring) if expiring else None
    now = datetime.now(UTC)
    with chosen.opened() as kept:
        assigned = {one.name for one in kept.assignments()}
        found = [one for one in kept.exemptions() if within is None or ends_within(one, within, now)]
    wide = output is ListFormat.WIDE
    documents = [document_of(one) for one in found]
    print_list(
        output,
        headers=[*_HEADERS, *(["SCOPE", "REQUESTED BY", "REASON", "FROM"] if wide else [])],
        rows=(
            [
                one.name,
                _waived(one),
                one.category.value,
                rfc3339(one.expires_on) if one.expires_on else "never",
                _status(one, now, known=one.assignment in assigned),
                covers_words(one),
                *([str(one.scope), one.requested_by, one.description or one.display_name, one.origin] if wide else []),
            ]
            for one in found
        ),
        documents=documents,
        names=[label(document) for document in documents],
        empty=f"No exemption ends within {expiring}." if expiring else "Nothing is exempt. `aksp exempt` makes it so.",
    )


def _waived(exemption: Exemption) -> str:
    """The assignment, or its members that alone are exempt, as the command line names them."""
    return ", ".join(f"{exemption.assignment}/{one}" for one in exemption.references) or exemption.assignment


def _status(exemption: Exemption, now: datetime, *, known: bool) -> str:
    if not known:
        return "no such assignment"
    return "expired" if exemption.expired(now) else "in force"


add_document_commands(app, "PolicyExemption", "exemption", candidates.exemptions)
