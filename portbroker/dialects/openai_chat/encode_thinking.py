"""Earlier thinking on its way back to a provider, under the name that the provider knows.

The one rule: text may go anywhere, state only to where it came from. What cannot be taken is left out in silence:
thinking history changes cost and quality, not meaning.
"""

from typing import Final

from portbroker.config.options import Options
from portbroker.conversation import Block, Json
from portbroker.dialects import envelope

ANTHROPIC_FORMAT: Final = "anthropic-claude-v1"
DUMMY_SIGNATURE: Final = "skip_thought_signature_validator"
THINKING: Final = frozenset({"thinking", "redacted_thinking"})


def encode_thinking(thoughts: list[Json], options: Options, *, with_calls: bool, origin: str) -> Json:
    """The keys that carry the thinking of one assistant message; none when the provider takes no thinking back."""
    keys: Json = {}
    if options.reasoning_history == "reasoning_content":
        text = "\n".join(filter(None, (thought.get("thinking") for thought in thoughts)))
        if text:
            keys["reasoning_content"] = text
    elif options.reasoning_history == "reasoning_details":
        details = _details(thoughts, origin)
        if details:
            keys["reasoning_details"] = details
    if with_calls and not keys and options.reasoning_required_with_tools is not None:
        keys["reasoning_content"] = options.reasoning_required_with_tools
    return keys


def _details(thoughts: list[Json], origin: str) -> list[Json]:
    details: list[Json] = []
    for thought in thoughts:
        if envelope.is_ours(thought):
            details.extend(_carried(thought, len(details), origin))
        elif thought["type"] == "redacted_thinking":
            details.append(_detail("encrypted", ANTHROPIC_FORMAT, len(details), data=thought["data"]))
        elif thought.get("signature"):
            signed = {"text": thought["thinking"], "signature": thought["signature"]}
            details.append(_detail("text", ANTHROPIC_FORMAT, len(details), **signed))
        elif thought["thinking"]:
            details.append(_detail("text", "unknown", len(details), text=thought["thinking"]))
    return details


def _carried(thought: Json, index: int, origin: str) -> list[Json]:
    """What an envelope brings back: the very details that were sent, an Anthropic signature, or just the text."""
    state = envelope.unwrap(envelope.mark(thought), origin) or {}
    text = thought.get("thinking") or ""
    if state.get("k") == "rd" and isinstance(state.get("v"), list):
        return state["v"]  # type: ignore[no-any-return]
    if state.get("k") == "an" and isinstance(state.get("s"), str):
        return [_detail("text", ANTHROPIC_FORMAT, index, text=text, signature=state["s"])]
    return [_detail("text", "unknown", index, text=text)] if text else []


def _detail(kind: str, form: str, index: int, **content: str) -> Json:
    return {"type": f"reasoning.{kind}", **content, "format": form, "index": index}


def thought_signatures(blocks: list[Block], origin: str) -> dict[str, str]:
    """Gemini's thought signatures of one assistant turn, by the id of the call that each belongs to."""
    signatures: dict[str, str] = {}
    for block in blocks:
        state = envelope.unwrap(envelope.mark(block.data), origin)
        carried = state.get("m") if state and state["k"] == "gts" else None
        if isinstance(carried, dict):
            signatures.update({call: sign for call, sign in carried.items() if isinstance(sign, str)})
    return signatures


def sign_calls(calls: list[Json], signatures: dict[str, str]) -> None:
    """Put each signature on its call. Gemini refuses a first call without one, so foreign history gets a dummy."""
    for index, call in enumerate(calls):
        signature = signatures.get(call["id"]) or (None if index else DUMMY_SIGNATURE)
        if signature:
            call["extra_content"] = {"google": {"thought_signature": signature}}
