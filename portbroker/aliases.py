"""Second names of models, for clients that show only some.

The one rule: an alias means its model in every respect; whatever looks at the name of a model looks at what it means.
"""

ALIAS = "claude-via-"
"""Claude Code shows only models whose names begin with `claude` or `anthropic`: under this, it shows any."""


def meant_model(name: str) -> str:
    """The model that a name means: itself, or what it is an alias of."""
    return name.removeprefix(ALIAS) or name
