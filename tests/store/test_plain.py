"""Records as plain values and back."""

from typing import Any

import pytest

from portbroker.store.plain import plain, restored
from portbroker.store.records import ApiKey, UsageEvent
from tests.store.samples import api_key, entry, event


@pytest.mark.parametrize("record", [
    api_key(), api_key(budget=None, previous_hash=None, previous_until=None), entry(), event(),
    event(attempts=(), tags=(), first_token_us=None),
])  # fmt: skip
def test_a_record_comes_back_as_it_was(record: Any) -> None:
    assert restored(type(record), plain(record)) == record


def test_fields_of_another_version_do_not_matter() -> None:
    older = {name: value for name, value in plain(event()).items() if name not in ("price", "tags")}
    assert restored(UsageEvent, {**older, "new_field": 1}).tags == ()


def test_what_lacks_the_needful_is_no_record() -> None:
    with pytest.raises(TypeError):
        restored(ApiKey, {"id": "key_1"})
