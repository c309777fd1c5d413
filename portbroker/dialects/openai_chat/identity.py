"""Who answered: a provider's id and model name in canonical form. One rule: an id is never empty."""

from portbroker.conversation import mint
from portbroker.dialects.arguments import clean_id

_PREFIXES = ("chatcmpl-", "gen-")


def message_id(upstream_id: object) -> str:
    """`msg_` and the provider's id without its own prefix; a fresh one if the provider gave none."""
    text = upstream_id if isinstance(upstream_id, str) else ""
    for prefix in _PREFIXES:
        text = text.removeprefix(prefix)
    return "msg_" + clean_id(text) if text else mint("msg_")


def model_name(model: object) -> str:
    """The provider's word for the model, "" if it gave none."""
    return model if isinstance(model, str) else ""
