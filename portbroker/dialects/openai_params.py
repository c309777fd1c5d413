"""Canonical parameters as the tables of OpenAI's dialects read them.

The one rule: what depends on more than itself is code and stays out, and so does what only exact replay needs, but for
the words of an OpenAI client that Anthropic has none for.
"""

from portbroker.config.options import Options
from portbroker.conversation import Json

_BY_CODE = frozenset({"thinking", "output_config", "output_format"})


def plain_params(params: Json, options: Options) -> Json:
    """The parameters that rules can translate."""
    plain = {key: value for key, value in params.items() if key not in _BY_CODE and key[:1] != "_"}
    if options.service_tier and "_service_tier" in params:
        plain["service_tier"] = params["_service_tier"]
    return plain
