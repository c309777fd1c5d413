"""Identifiers that sort by time."""

import uuid

from portbroker.store.ids import uuid7
from tests.store.samples import NOON


def test_an_id_is_a_uuid_of_version_7_that_holds_its_time() -> None:
    made = uuid.UUID(uuid7(NOON))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == NOON // 1000


def test_ids_of_later_times_sort_later() -> None:
    assert uuid7(NOON) < uuid7(NOON + 1000)
