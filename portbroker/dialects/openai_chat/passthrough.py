"""A chat client's own bytes for a chat provider.

The one rule: only the model changes, and, so that a stream can be accounted for, whether it ends with its usage.
"""

from portbroker.config.options import Options
from portbroker.conversation import Json
from portbroker.dialects.splice import with_member, with_model


def pass_request(raw: bytes, body: Json, model: str, options: Options) -> bytes:
    """The client's bytes, asking for `model`; the same object when nothing changes."""
    raw = with_model(raw, body, model)
    wanted = _stream_options(body) if options.stream_usage and body.get("stream") is True else None
    return raw if wanted is None else with_member(raw, body, "stream_options", wanted)


def _stream_options(body: Json) -> Json | None:
    """The stream options that ask for usage, None when they need no change; what is malformed the provider judges."""
    given = body.get("stream_options")
    if given is None:
        return {"include_usage": True}
    if not isinstance(given, dict) or given.get("include_usage") is True:
        return None
    return {**given, "include_usage": True}
