"""The titles of the JSON Schema: a field's name as a person would write it. One rule: derived, never kept by hand."""

_SPELLED = {"url": "URL", "api": "API", "id": "ID"}


def title_of(name: str) -> str:
    """`base_url` as `Base URL`."""
    words = [_SPELLED.get(word, word) for word in name.strip("_").split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])
