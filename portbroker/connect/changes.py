"""What is changed in a client's files, and what is remembered of it so that it can be put back.

The one rule: what the user has set anew since then is theirs, and stays.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from portbroker.connect import texts
from portbroker.connect.files import SettingsError
from portbroker.connect.texts import Kind, TextError


@dataclass(frozen=True, slots=True)
class Setting:
    """A value that a client needs, and where it stands in the file. One that is `kept` by the client itself goes with
    the others when they go, whatever it has become."""

    path: texts.Path
    value: Any
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """The settings that one file of a client needs."""

    file: Path
    kind: Kind
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class Undo:
    """One setting as it was (None: not there) and as we wrote it; `made` are the mappings that it needed."""

    path: list[str]
    before: str | None
    written: str
    made: list[list[str]]
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Remembered:
    """One file before (None: there was none) and after it was changed."""

    file: str
    before: str | None
    after: str
    settings: list[Undo] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def remembered(plain: dict[str, Any]) -> Remembered:
    """What `Remembered.plain` made plain."""
    return Remembered(**{**plain, "settings": [Undo(**undo) for undo in plain["settings"]]})


def apply(change: Change, text: str | None) -> Remembered:
    """The file with the settings in it. Raises `SettingsError` when it cannot be."""
    now, undos = text or "", []
    try:
        for setting in change.settings:
            now, undo = _set(change.kind, now, setting)
            undos.append(undo)
    except TextError as error:
        raise _refused(change.file, error) from error
    return Remembered(str(change.file), text, now, undos)


def _set(kind: Kind, text: str, setting: Setting) -> tuple[str, Undo]:
    path = setting.path
    made = [list(each) for each in texts.missing(kind.read(text), path)]
    before = kind.source(text, path)
    edited = texts.put(kind, text, path, kind.write(setting.value))
    return edited, Undo(list(path), before, kind.source(edited, path) or "", made, setting.kept)


def revert(memory: Remembered, kind: Kind, text: str | None) -> tuple[str | None, Sequence[str]]:
    """The file (None: none) as it was before, and the names of settings that have been changed since and stay."""
    if text is None or text == memory.after:
        return (memory.before if text is not None else None), ()
    left: list[str] = []
    try:
        for undo in reversed(memory.settings):
            text = _unset(kind, text, undo, left)
    except TextError as error:
        raise _refused(Path(memory.file), error) from error
    ours_alone = memory.before is None and kind.read(text) == {}
    return (None if ours_alone else text), left


def _unset(kind: Kind, text: str, undo: Undo, left: list[str]) -> str:
    path = tuple(undo.path)
    source = kind.source(text, path)
    if source is None:
        return _without_empty(kind, text, undo)
    if not undo.kept and not _same(kind, text, source, undo):
        left.append(".".join(path))
        return text
    if undo.before is not None:
        return texts.put(kind, text, path, undo.before)
    return _without_empty(kind, texts.drop(kind, text, path), undo)


def _same(kind: Kind, text: str, source: str, undo: Undo) -> bool:
    """Whether what stands there is still what we wrote, be it laid out anew."""
    path = tuple(undo.path)
    if source == undo.written:
        return True
    now = texts.found(kind.read(text), path)
    return bool(now == texts.found(kind.read(texts.put(kind, text, path, undo.written)), path))


def _without_empty(kind: Kind, text: str, undo: Undo) -> str:
    """The text without the mappings that were made for a setting and hold nothing now."""
    for made in reversed(undo.made):
        if texts.found(kind.read(text), tuple(made)) == {}:
            text = texts.drop(kind, text, tuple(made))
    return text


def _refused(file: Path, error: TextError) -> SettingsError:
    where = f"{file}:{error.line}:{error.column}" if error.line else str(file)
    return SettingsError(f"{where}: {error}", "nothing was changed; mend it there, or use --print and do it by hand")
