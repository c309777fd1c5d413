"""Bytes of files, and bytes as text. One rule: only regular files of a bounded size are read; nothing is waited for."""

import codecs
import difflib
import os
import stat
from pathlib import Path

from portbroker.config.syntax import Fault, position, refuse_control_characters

MAX_SIZE = 4 * 1024 * 1024
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_OTHERS = 0o077
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


def read(path: Path, *, private: bool = False) -> bytes:
    """What the file holds. With `private`, only from a file that nobody else may read. Raises `Fault`."""
    try:
        descriptor = os.open(path, _FLAGS)
    except (OSError, ValueError) as error:
        raise _cannot_open(path, error) from None
    try:
        status = os.fstat(descriptor)
        _check_kind(status.st_mode)
        if private:
            _check_private(path, status.st_mode)
        return _bounded(_content(descriptor), status.st_size)
    finally:
        os.close(descriptor)


def _content(descriptor: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        return file.read(MAX_SIZE + 1)


def _bounded(data: bytes, size: int) -> bytes:
    if len(data) > MAX_SIZE:
        shown = f"{max(size, len(data)) / 1024 / 1024:.1f} MiB"
        raise Fault(f"the file is too large: {shown}, where {MAX_SIZE // 1024 // 1024} MiB are allowed")
    return data


def _check_kind(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise Fault("is a directory", hint="name a file in it")
    if not stat.S_ISREG(mode):
        raise Fault("is not a regular file", hint="pipes and devices cannot be read again on a reload")


def _check_private(path: Path, mode: int) -> None:
    if os.name == "posix" and mode & _OTHERS:
        shown = f"{stat.S_IMODE(mode):04o}"
        raise Fault(f"others may read it (mode {shown})", hint=f"run `chmod 600 {path.name}`")


def _cannot_open(path: Path, error: OSError | ValueError) -> Fault:
    if isinstance(error, FileNotFoundError):
        return _missing(path)
    if isinstance(error, PermissionError):
        return Fault("cannot be read by this user", hint=f"run `chmod u+r {path.name}`")
    if isinstance(error, IsADirectoryError):
        return Fault("is a directory", hint="name a file in it")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "the name is not one of a file"
    return Fault(f"cannot be read: {reason}")


def _missing(path: Path) -> Fault:
    if path.is_symlink():
        return Fault("is a link to a file that is not there", hint=f"it points to {os.readlink(path)}")
    try:
        others = [entry.name for entry in os.scandir(path.parent)]
    except OSError:
        return Fault("is not there", hint=f"there is no directory {path.parent}")
    near = difflib.get_close_matches(path.name, others, 1)
    return Fault("is not there", hint=f"did you mean {near[0]}?" if near else "")


def text_of(data: bytes) -> str:
    """The bytes as text. Raises `Fault` at the first that is none."""
    _bounded(data, len(data))
    if data.startswith(_UTF16) or (data[:4].count(0) >= 2):
        raise Fault("the file is in UTF-16 or UTF-32", hint="save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        line, column = position(before, len(before))
        raise Fault(
            f"the byte 0x{data[error.start]:02X} is not UTF-8", line, column, "save the file as UTF-8"
        ) from None
    refuse_control_characters(text)
    return text
