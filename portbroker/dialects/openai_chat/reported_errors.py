"""Errors that a provider reports inside an answer: in a body with status 200, in a chunk, in a finish reason.

The one rule: what such an error means is read where error documents are read; here it is only recognised.
"""

from portbroker.conversation import Json
from portbroker.dialects.faults import holds_fault, read_fault
from portbroker.dialects.openai_chat.stops import FAILED
from portbroker.errors import ProviderError


def refuse_error(document: object) -> None:
    """Raises the error that a body or a chunk reports beside or instead of choices."""
    if holds_fault(document) or _is_bare_error(document):
        raise read_fault(0, document)


def refuse_failure(choice: Json) -> None:
    """Raises when a choice says that it failed."""
    if error := choice.get("error"):
        raise read_fault(0, {"error": error})
    finish = choice.get("finish_reason")
    if isinstance(finish, str) and finish in FAILED:
        raise ProviderError(f"the provider ended its answer with finish_reason {finish}")


def _is_bare_error(document: object) -> bool:
    """An error document without an `error`: one that says something and has nothing of an answer."""
    if not isinstance(document, dict) or document.get("choices") or document.get("usage"):
        return False
    return bool(document.get("detail")) or isinstance(document.get("message"), str)
