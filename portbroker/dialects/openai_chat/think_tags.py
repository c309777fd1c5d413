"""Reasoning that comes as a `<think>` prefix of the text, for providers whose server does not take it out.

The one rule: only a prefix counts. Tags later in the text are the model's own words.
"""

_OPEN, _CLOSE = "<think>", "</think>"


class ThinkTags:
    """Splits text, in whatever pieces it comes, into reasoning and what follows it.

    `_held` is what cannot be told yet: the beginning of the text while it may still be the opening tag, or the end of
    the reasoning while it may be the closing one.
    """

    __slots__ = ("_held", "_stage", "passed")

    def __init__(self) -> None:
        self.passed = False
        """Whether the rest is text and need not come here any more."""
        self._stage = self._before
        self._held = ""

    def feed(self, text: str) -> tuple[str, str]:
        """The reasoning and the text that are certain now."""
        return ("", text) if self.passed else self._stage(self._held + text)

    def flush(self) -> tuple[str, str]:
        """What was held, when something else comes or the text ends."""
        held, self._held = self._held, ""
        if self._stage == self._inside:
            return held, ""
        self.passed = True
        return "", held

    def _before(self, text: str) -> tuple[str, str]:
        visible = text.lstrip()
        if visible.startswith(_OPEN):
            self._stage = self._inside
            return self._inside(visible[len(_OPEN) :])
        if _OPEN.startswith(visible):
            self._held = text
            return "", ""
        self.passed, self._held = True, ""
        return "", text

    def _inside(self, text: str) -> tuple[str, str]:
        reasoning, closed, rest = text.partition(_CLOSE)
        if closed:
            self._stage, self._held = self._after, ""
            return reasoning, self._after(rest)[1]
        kept = _overlap(text)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept], ""

    def _after(self, text: str) -> tuple[str, str]:
        visible = text.lstrip()
        self.passed = bool(visible)
        return "", visible


def split(text: str) -> tuple[str, str]:
    """The reasoning and the rest of a whole text."""
    tags = ThinkTags()
    reasoning, rest = tags.feed(text)
    more_reasoning, more = tags.flush()
    return reasoning + more_reasoning, rest + more


def _overlap(text: str) -> int:
    """How many characters at the end may be the beginning of the closing tag."""
    return next((n for n in range(min(len(_CLOSE) - 1, len(text)), 0, -1) if _CLOSE.startswith(text[-n:])), 0)
