"""Markers, paths and the places where more is allowed than a case lists."""

from typing import Any

import pytest

from portbroker.cases.compare import (
    MISSING,
    Difference,
    differences,
    item_id_differences,
    look_up,
    subset_differences,
)


@pytest.mark.parametrize(
    ("marker", "fits", "misfits"),
    [
        ("$any", [1, None, "", {}], []),
        ("$int", [0, 7], [True, 1.0, "1", None]),
        ("$prefix:msg_", ["msg_1", "msg_"], ["xmsg_", "", 1, None]),
        ("$5 is a price", ["$5 is a price"], ["$6", None]),
    ],
)
def test_a_marker_fits_its_kind_of_value_and_no_other(marker: str, fits: list[Any], misfits: list[Any]) -> None:
    assert [list(differences({"a": marker}, {"a": value})) for value in fits] == [[] for _ in fits]
    assert all(list(differences({"a": marker}, {"a": value})) for value in misfits)


def test_any_value_must_be_there() -> None:
    assert list(differences({"a": "$any"}, {})) == [Difference("a", "$any", MISSING)]


@pytest.mark.parametrize(
    ("expected", "got"), [(1, True), (False, 0), (None, 0), ("1", 1), ([], {}), ({}, []), ("", None), (1, 2)]
)
def test_values_of_different_types_differ(expected: Any, got: Any) -> None:
    assert list(differences({"a": expected}, {"a": got})) == [Difference("a", expected, got)]


def test_one_number_may_be_written_in_two_ways() -> None:
    assert not list(differences({"a": 1}, {"a": 1.0}))


def test_a_key_that_was_not_expected_is_a_difference_at_any_depth() -> None:
    found = list(differences({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": None}]}))
    assert found == [Difference("a[0].c", MISSING, None)]


def test_lists_are_compared_item_by_item_and_to_their_end() -> None:
    assert list(differences([1, 2, 3], [1, 5])) == [Difference("[1]", 2, 5), Difference("[2]", 3, MISSING)]
    assert list(differences([1], [1, 2])) == [Difference("[1]", MISSING, 2)]


def test_headers_list_only_what_must_be_there() -> None:
    expected = {"$status": 200, "$headers": {"a": "1"}, "$body": {}}
    assert not list(differences(expected, {"$status": 200, "$headers": {"a": "1", "b": "2"}, "$body": {}}))
    assert list(differences(expected, {"$status": 200, "$headers": {"b": "2"}, "$body": {}}))


def test_the_body_of_an_error_may_say_more_and_that_of_an_answer_may_not() -> None:
    more = {"error": {"type": "x", "details": {}}, "request_id": "r"}
    error = {"$status": 400, "$body": {"error": {"type": "x"}}}
    assert not list(differences(error, {"$status": 400, "$body": more}))
    answer = {"$status": 200, "$body": {"error": {"type": "x"}}}
    assert len(list(differences(answer, {"$status": 200, "$body": more}))) == 2


def test_a_response_object_may_carry_its_other_keys_and_no_foreign_ones() -> None:
    expected = [{"event": "response.created", "data": {"response": {"id": "r"}}}]
    got = [{"event": "response.created", "data": {"response": {"id": "r", "store": False, "foreign": 1}}}]
    assert list(differences(expected, got)) == [Difference("[0].data.response.foreign", MISSING, 1)]


def test_paths_reach_into_objects_lists_and_streams() -> None:
    events = [{"event": "a", "data": {"x": [1, {"y-z": "found"}]}}, {"event": "b", "data": {}}]
    assert look_up(events, "[0].data.x[1].y-z") == "found"
    assert look_up(events, "[-1].event") == "b"
    assert look_up(events, "$events") == ["a", "b"]
    assert look_up(events, "$len") == 2
    assert look_up(events, "[0].data.x.$len") == 2
    assert look_up(events, "[0].data.nothing.here[3]") is MISSING
    assert look_up({"$body": {"data": [{"id": 1}]}}, "$body.data[0].id") == 1


def test_a_subset_allows_more_but_not_less() -> None:
    document = {"a": {"b": 1, "c": 2}, "d": None}
    assert not list(subset_differences({"a": {"b": 1}, "a.c": 2, "d": None, "e": "$absent", "a.$len": 2}, document))
    found = list(subset_differences({"a.b": 2, "d": "$absent", "e": "$any"}, document))
    assert found == [Difference("a.b", 2, 1), Difference("d", "$absent", None), Difference("e", "$any", MISSING)]


def test_an_item_of_a_responses_stream_keeps_its_id() -> None:
    def event(**data: Any) -> dict[str, Any]:
        return {"event": "x", "data": data}

    added = event(output_index=0, item={"id": "msg_1"})
    same = [added, event(output_index=0, item_id="msg_1"), event(response={"output": [{"id": "msg_1"}]})]
    assert not list(item_id_differences(same))
    assert [d.got for d in item_id_differences([added, event(output_index=0, item_id="msg_2")])] == ["msg_2"]
    assert [d.got for d in item_id_differences([added, event(response={"output": [{"id": "msg_3"}]})])] == ["msg_3"]
