"""A chat provider's whole answer in canonical form: thinking, then text, then calls, of the first choice.

The one rule: no answer is thrown away for what it gets wrong; only an error that the provider reports raises, or an
answer without a choice.
"""

from typing import Any

from portbroker.conversation import AnswerContext, Json, Report, mint
from portbroker.dialects.arguments import clean_id, parse_arguments
from portbroker.dialects.envelope import carrier, wrap
from portbroker.dialects.openai_chat.answer_parts import Details, Said, citations, flat, named_reasoning, read_content
from portbroker.dialects.openai_chat.decode_stream import StreamDecoder
from portbroker.dialects.openai_chat.identity import message_id, model_name
from portbroker.dialects.openai_chat.reported_errors import refuse_error, refuse_failure
from portbroker.dialects.openai_chat.stops import Stop
from portbroker.dialects.openai_chat.stream_tools import thought_signature
from portbroker.dialects.openai_chat.think_tags import split
from portbroker.dialects.openai_chat.usage import read_usage
from portbroker.dialects.usage import estimated_usage
from portbroker.errors import ProviderError

__all__ = ["StreamDecoder", "decode_answer"]

_MESSAGE = "choices[0].message"


def decode_answer(body: Json, context: AnswerContext, report: Report) -> Json:
    """The answer as a canonical message. With `_estimated: true` when the provider gave no usage.

    Raises `ProviderError` for an error in the body, and for a body without choices.
    """
    refuse_error(body)
    choice = _first_choice(body)
    refuse_failure(choice)
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    said = _read_said(message, context, report)
    uses = _tool_uses(message, context, report)
    blocks = _thinking(said, message, context) + _text(said, message) + uses
    stop = Stop()
    stop.note(choice)
    stop.refusal = said.refusal
    answer = {
        "id": message_id(body.get("id"), context.call_id),
        "type": "message",
        "role": "assistant",
        "model": model_name(body.get("model")),
        "content": blocks,
        **stop.read(bool(uses), context, report),
    }
    return _counted(answer, body, choice, message, context)


def _first_choice(body: Json) -> Json:
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        raise ProviderError("the provider answered without choices")
    return choice


def _counted(answer: Json, body: Json, choice: Json, message: Json, context: AnswerContext) -> Json:
    tier = body.get("service_tier")
    usage = read_usage(body.get("usage") or choice.get("usage"), tier)
    if usage is None:
        answer["_estimated"] = True
        usage = estimated_usage(context.estimated(), _written(message), tier)
    answer["usage"] = usage
    return answer


# what the message says


def _read_said(message: Json, context: AnswerContext, report: Report) -> Said:
    """Text, reasoning and refusal. Text that only other fields hold counts as text."""
    content = message.get("content")
    said = read_content(content, report, _MESSAGE)
    if context.think_tags:
        tagged, said.text = split(said.text)
        said.reasoning += tagged
    said.reasoning = named_reasoning(message) or said.reasoning
    said.refusal = flat(message.get("refusal")) or said.refusal
    if isinstance(audio := message.get("audio"), dict):
        report.add("dropped", f"{_MESSAGE}.audio")
        said.text = said.text if content else flat(audio.get("transcript"))
    if message.get("images"):
        report.add("dropped", f"{_MESSAGE}.images")
    if not said.text.strip():
        said.text = said.refusal
    return said


def _thinking(said: Said, message: Json, context: AnswerContext) -> list[Json]:
    if not context.thinking_requested:
        return []
    details = Details()
    details.add(message.get("reasoning_details"))
    if not said.reasoning.strip() and not details.bears_state:
        return []
    text = "" if context.thinking_omitted else said.reasoning
    return [{"type": "thinking", "thinking": text, "signature": details.seal(context.origin)}]


def _text(said: Said, message: Json) -> list[Json]:
    if not said.text.strip():
        return []
    block: Json = {"type": "text", "text": said.text}
    content, annotations = message.get("content"), message.get("annotations")
    if annotations and (found := citations(annotations, content if isinstance(content, str) else said.text)):
        block["citations"] = found
    return [block]


def _written(message: Json) -> list[str]:
    """All that the model wrote, roughly: for an estimate of its tokens."""
    calls = message.get("tool_calls")
    written = [named_reasoning(message), flat(message.get("content"))]
    return written + [str(call) for call in (calls if isinstance(calls, list) else ())]


# calls


def _tool_uses(message: Json, context: AnswerContext, report: Report) -> list[Json]:
    """The calls as tool_use blocks, after what carries their state."""
    if not message.get("tool_calls") and not message.get("function_call"):
        return []
    signatures: dict[str, str] = {}
    uses: list[Json] = []
    used: set[str] = set()
    for call, path in _calls(message):
        use = _tool_use(call, path, used, report)
        if use is None:
            report.add("dropped", path)
            continue
        use["name"] = context.tool_names.get(use["name"], use["name"])
        uses.append(use)
        if context.state == "gemini" and (signature := thought_signature(call)):
            signatures[use["id"]] = signature
    return [carrier(wrap("gts", context.origin, m=signatures)), *uses] if signatures else uses


def _calls(message: Json) -> list[tuple[Any, str]]:
    calls = message.get("tool_calls")
    found = [(c, f"{_MESSAGE}.tool_calls[{i}]") for i, c in enumerate(calls if isinstance(calls, list) else ())]
    if isinstance(function := message.get("function_call"), dict):
        found.append(({"function": function}, f"{_MESSAGE}.function_call"))
    return found


def _tool_use(call: Any, path: str, used: set[str], report: Report) -> Json | None:
    """The call as a block, or None for a call of nothing."""
    call = call if isinstance(call, dict) else {}
    custom, function = call.get("custom"), call.get("function")
    said = custom if isinstance(custom, dict) else function if isinstance(function, dict) else {}
    name = said.get("name")
    if not isinstance(name, str) or not name:
        return None
    if isinstance(custom, dict):
        arguments, valid = {"input": flat(custom.get("input"))}, True
    else:
        arguments, valid = parse_arguments(said.get("arguments"))
    if not valid:
        inner = "arguments" if path.endswith("function_call") else "function.arguments"
        report.add("invalid", f"{path}.{inner}")
    return {"type": "tool_use", "id": _use_id(call.get("id"), used), "name": name, "input": arguments}


def _use_id(call_id: object, used: set[str]) -> str:
    use_id = clean_id(call_id) if isinstance(call_id, str) else ""
    if not use_id or use_id in used:
        use_id = mint("toolu_")
    used.add(use_id)
    return use_id
