"""Tasks as the engine is sent them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aksp.compliance.judgement import Task
from aksp.engine.judging import wire

LISTS = [[0, 1], [0, 1], [], [2]]


@given(st.lists(st.sampled_from(LISTS)), st.sets(st.integers(0, 5)))
def test_each_task_has_its_documents_or_is_like_one_that_lists_them(chosen: list[list[int]], skip: set[int]) -> None:
    sent = wire([Task(policy="p", parameters={}, documents=documents) for documents in chosen], skip)
    for number, (one, documents) in enumerate(zip(sent, chosen, strict=True)):
        if "like" in one:
            assert one["like"] < number and "documents" not in one
            assert sent[one["like"]]["documents"] == documents and number not in skip
        else:
            assert one["documents"] == ([] if number in skip else documents)
    # Each list is sent once.
    listed = [id(chosen[number]) for number, one in enumerate(sent) if "documents" in one and number not in skip]
    assert len(listed) == len(set(listed))
