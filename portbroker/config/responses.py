"""The words for responses that are kept: `stored_responses`.

The one rule: the defaults are those of `portbroker.policy`, so that a file which says nothing gets the same.
"""

from pydantic import ConfigDict, Field

from portbroker.config.fields import Int, Seconds, Section
from portbroker.policy import Keep

_KEEP = Keep()


class StoredResponsesConfig(Section):
    """What the Responses API may go on from, by `previous_response_id`; kept in memory."""

    model_config = ConfigDict(title="Stored responses")

    keep: Seconds = Field(_KEEP.seconds, examples=["1h", "10m"])
    """How long a response is known. Only the caller that it was given to can ask for it."""
    memory: Int = Field(_KEEP.most_bytes, ge=0, examples=[67108864])
    """The most bytes of all that one worker keeps; the oldest goes first. 0: nothing is kept."""
