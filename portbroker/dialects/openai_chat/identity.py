"""Who answered: a provider's id and model name in canonical form. One rule: an id is never empty."""

from portbroker.conversation import mint
from portbroker.dialects.arguments import clean_id

_PREFIXES = ("chatcmpl-", "gen-")
_UNIQUE = 12
"""Characters that an id needs to be the only one of its kind in a conversation."""


def message_id(upstream_id: object, call_id: str = "") -> str:
    """`msg_` and the provider's id without its own prefix; a fresh one if the provider gave none.

    A short id is completed by that of the call: Ollama counts to 999, others send the same one always, and clients take
    answers with one id for parts of one message.
    """
    text = upstream_id if isinstance(upstream_id, str) else ""
    for prefix in _PREFIXES:
        text = text.removeprefix(prefix)
    if not text:
        return mint("msg_")
    return f"msg_{clean_id(text)}_{call_id}" if call_id and len(text) < _UNIQUE else "msg_" + clean_id(text)


def model_name(model: object) -> str:
    """The provider's word for the model, "" if it gave none."""
    return model if isinstance(model, str) else ""
