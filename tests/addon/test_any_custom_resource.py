"""Whatever stands in a custom resource, the others are in force and reviews are answered by them."""

from __future__ import annotations

import copy
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from aksp.engine import Engine
from tests.addon.custom import assigned, defined, exempted
from tests.addon.test_reviewer import Asked
from tests.engine.reviews import pod, review
from tests.places import places

GOOD: Final = {"effect": "Deny"}
HOSTILE: Final = {
    "definition": defined(),
    "assignment": assigned(
        "other", "ours", parameters={"effect": "Audit"}, scope="/clusters/c", notScopes=["/clusters/c/namespaces/a"],
        nonComplianceMessages=[{"message": "no"}], metadata={"a": "b"},
        meta={"status": {"appliedSpec": assigned(definition="ours")["spec"], "appliedGeneration": 1}},
    ),
    "exemption": exempted(
        "waiver", "other", expiresOn="2027-01-01T00:00:00Z", scope="/clusters/c", resources=[{"kind": "Pod", "name": "a-*"}]
    ),
}  # fmt: skip
#: What JSON can hold; an API server keeps no less where a schema leaves a field open, as that of parameters does.
ODD: Final = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8),
    st.just([]), st.just({}), st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
    st.sampled_from([
        "2027-99-99", "[parameters('x')]", "[parameters('effect')]", "^(a+)+$", "(", "/", "/clusters/", "\x00", "a" * 100_000,
        10**400, {"value": {"value": []}}, {"$ref": "#"}, [[[[]]]], "package rule", "cGFja2FnZSBydWxl",
    ]),
)  # fmt: skip


@given(data=st.data(), kind=st.sampled_from(sorted(HOSTILE)))
@settings(max_examples=60, deadline=None)
def test_what_is_wrong_in_one_of_any_kind_leaves_the_others_in_force(
    engine: Engine, data: st.DataObject, kind: str
) -> None:
    made = copy.deepcopy(HOSTILE)
    # The API server keeps apiVersion, kind and metadata what they are.
    within = [path for path in places(made[kind]) if path[0] in ("spec", "status")]
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(within))
        inner: Any = made[kind]
        try:
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = data.draw(ODD)
        except (TypeError, LookupError):
            continue  # the first has taken away where the second would stand
    asked = Asked(
        engine,
        assigned("honest", parameters=GOOD),
        made["assignment"],
        definitions=[made["definition"]],
        exemptions=[made["exemption"]],
    )
    response = asked(review(pod(privileged=True)))
    assert not response["allowed"]
    assert "[honest]" in response["status"]["message"]
    (honest,) = [one for one in asked.standing.assignments if one.name == "honest"]
    assert honest.problem is None
