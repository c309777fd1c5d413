"""What a Responses provider answers with: whole output items as canonical blocks, and why it stopped.

The one rule: nothing is certain about a provider's types; what is not as expected counts as not there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from portbroker.conversation import AnswerContext, Json, Report, mint
from portbroker.dialects.arguments import clean_id, parse_arguments
from portbroker.dialects.envelope import PLAIN, wrap
from portbroker.dialects.faults import read_fault
from portbroker.errors import ProviderError

_REASONS = {"max_output_tokens": "max_tokens", "content_filter": "refusal"}
"""Why an answer is incomplete, as stop reasons."""


@dataclass(slots=True)
class Reading:
    """What reading the items of one answer needs to know, and what it found out: whether the model refused."""

    context: AnswerContext
    report: Report
    refusal: str = ""

    def blocks(self, item: object, path: str) -> list[Json]:
        """The blocks of a whole item; none for what a provider's own tools did."""
        kind = item.get("type") if isinstance(item, dict) else None
        read = _READERS.get(kind) if isinstance(kind, str) else None
        return read(self, item, path) if read is not None and isinstance(item, dict) else []

    def message(self, item: Json, path: str) -> list[Json]:
        blocks = []
        for part in _dicts(item.get("content")):
            if refused := text_of(part.get("refusal")):
                self.refusal += refused
            text = text_of(part.get("text")) or refused
            if text.strip():
                block: Json = {"type": "text", "text": text}
                found = [cited for each in _dicts(part.get("annotations")) if (cited := citation(each, text))]
                blocks.append({**block, "citations": found} if found else block)
        return blocks

    def reasoning(self, item: Json, path: str) -> list[Json]:
        if not self.context.thinking_requested:
            return []
        text = _texts(item.get("summary")) or _texts(item.get("content"))
        signature = sealed(item, self.context)
        if not text and signature == PLAIN:  # a stream has told of white space before it knows that no more comes
            return []
        return [{"type": "thinking", "thinking": "" if self.context.thinking_omitted else text, "signature": signature}]

    def function_call(self, item: Json, path: str) -> list[Json]:
        given, valid = parse_arguments(item.get("arguments"))
        if not valid:
            self.report.add("invalid", f"{path}.arguments")
        return [{**tool_use(item, self.context), "input": given}]

    def custom_call(self, item: Json, path: str) -> list[Json]:
        return [{**tool_use(item, self.context), "input": {"input": text_of(item.get("input"))}}]

    def stop(self, response: Json, uses_tools: bool) -> Json:
        """`stop_reason`, `stop_sequence` and, for a refusal, `stop_details`."""
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        known = _REASONS.get(reason) if isinstance(reason, str) else None
        if response.get("status") == "incomplete" and known is None:
            self.report.add("unknown", "incomplete_details.reason")
        if self.refusal or known == "refusal":
            told = {"type": "refusal", "category": None, "explanation": self.refusal or None}
            return {"stop_reason": "refusal", "stop_sequence": None, "stop_details": told}
        return {"stop_reason": known or ("tool_use" if uses_tools else "end_turn"), "stop_sequence": None}


_READERS: dict[str, Callable[[Reading, Json, str], list[Json]]] = {
    "message": Reading.message,
    "reasoning": Reading.reasoning,
    "function_call": Reading.function_call,
    "custom_tool_call": Reading.custom_call,
}


def refuse_failure(response: Json) -> None:
    """Raises for a response that failed, or that is no answer yet."""
    status = response.get("status")
    if status == "failed" or response.get("error"):
        raise read_fault(0, {"error": response.get("error") or {"message": "the provider's response failed"}})
    if isinstance(status, str) and status not in ("completed", "incomplete"):
        raise ProviderError(f"the provider's response is {status}")


def message_id(response_id: object) -> str:
    """`msg_` and the provider's id without its own prefix; a fresh one if the provider gave none."""
    text = clean_id(text_of(response_id).removeprefix("resp_"))
    return f"msg_{text}" if text else mint("msg_")


def tool_use(item: Json, context: AnswerContext) -> Json:
    """The start of a call, its input still to come."""
    name = text_of(item.get("name"))
    call_id = clean_id(text_of(item.get("call_id")))
    return {
        "type": "tool_use",
        "id": call_id or mint("toolu_"),
        "name": context.tool_names.get(name, name),
        "input": {},
    }


def sealed(item: Json, context: AnswerContext) -> str:
    """The signature of a reasoning item: the envelope that brings it back to where it came from."""
    state, name = item.get("encrypted_content"), item.get("id")
    if not isinstance(state, str) or not state:
        return PLAIN
    return wrap("oe", context.origin, v=state, id=text_of(name))


def citation(annotation: Json, text: str) -> Json | None:
    """A web citation of `text`; None for any other annotation."""
    if annotation.get("type") != "url_citation":
        return None
    start, end = annotation.get("start_index"), annotation.get("end_index")
    in_text = type(start) is int and type(end) is int and 0 <= start <= end
    return {
        "type": "web_search_result_location",
        "url": text_of(annotation.get("url")),
        "title": text_of(annotation.get("title")) or None,
        "cited_text": text[start:end] if in_text else "",
        "encrypted_index": "",
    }


def text_of(value: object) -> str:
    return value if isinstance(value, str) else ""


def _dicts(values: Any) -> list[Json]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _texts(parts: Any) -> str:
    return "\n\n".join(filter(None, (text_of(part.get("text")) for part in _dicts(parts))))
