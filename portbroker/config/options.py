"""The switches of a preset that code reads. One rule: an option is a fact about a vendor, never a preference."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Options(BaseModel):
    """What translation must know of a vendor that no rule can say. Defaults: a plain OpenAI-compatible server."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Options")

    # A chat target
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens", description="The name under which the output limit is sent."
    )
    drop_sampling: bool = Field(False, description="Leave out temperature and top_p, and report it.")
    top_k: bool = Field(False, description="The provider takes `top_k`.")
    stop_max: int = Field(4, ge=0, description="How many stop sequences the provider takes; 0: none.")
    reasoning: Literal["none", "effort", "openrouter", "deepseek", "thinking_type", "qwen", "vllm"] = Field(
        "none", description="How the provider is asked to think."
    )
    efforts: tuple[Effort, ...] | None = Field(
        None, description="Efforts that the provider takes (chat: low, medium, high; Anthropic: low … max)."
    )
    tools_effort_none: bool = Field(False, description="With tools, always send `reasoning_effort: none`.")
    reasoning_history: Literal["none", "reasoning_content", "reasoning_details"] = Field(
        "none", description="Under which name earlier thinking is sent back."
    )
    reasoning_required_with_tools: str | None = Field(
        None, description="`reasoning_content` of an assistant turn with tool calls that has none."
    )
    vision: bool = Field(True, description="The model accepts images.")
    documents: Literal["drop", "file"] = Field("drop", description="How a PDF travels.")
    mid_system: Literal["keep", "user_reminder"] | bool | None = Field(
        None,
        description="A system message in mid-conversation: kept or wrapped into the user turn (chat target; default "
        "`keep`), or whether the model takes one at all (Anthropic target; default false).",
    )
    system_role: Literal["system", "developer"] = Field("system", description="The role of the leading message.")
    merge_adjacent: bool = Field(False, description="Join neighbouring user messages.")
    user_after_tool: Literal["keep", "bridge"] = Field(
        "keep", description="`bridge`: put an assistant message between a tool result and a user message."
    )
    tool_choice_any: Literal["required", "any"] = Field("required", description="How 'some tool' is spelled.")
    tool_id: Literal["keep", "mistral9"] = Field("keep", description="The form that tool call ids must have.")
    tool_name_max: int = Field(64, ge=16, le=128, description="The longest tool name; longer ones are shortened.")
    null_content: str | None = Field(None, description="`content` of an assistant turn with only tool calls.")
    json_: Literal["json_schema", "json_object", "prompt"] = Field(
        "json_schema", alias="json", description="How structured output is asked for."
    )
    cache: Literal["none", "cache_control", "openai_breakpoint"] = Field(
        "none", description="How prompt cache marks travel."
    )
    prefill: Literal["report", "prefix", "partial", "vllm"] = Field(
        "report", description="How an assistant turn that is to be continued is marked."
    )
    user_field: Literal["none", "user", "safety_identifier"] = Field(
        "none", description="The field that takes `metadata.user_id`."
    )
    strict_tools: bool = Field(False, description="The provider takes `strict` on tools.")
    stream_usage: bool = Field(True, description="The provider takes `stream_options.include_usage`.")
    web_search: Literal["none", "options"] = Field("none", description="`options`: send `web_search_options`.")
    service_tier: bool = Field(False, description="The provider takes `service_tier`.")
    state: Literal["none", "gemini"] = Field("none", description="`gemini`: thought signatures travel with calls.")
    think_tags: bool = Field(False, description="Reasoning comes as a `<think>` prefix of the text.")

    # An Anthropic target
    no_sampling: bool = Field(False, description="The model refuses temperature, top_p and top_k.")
    one_sampler: bool = Field(False, description="The model takes temperature or top_p, not both.")
    thinking: Literal["effort", "budget", "none"] = Field("effort", description="How the model is asked to think.")
    thinking_off: bool = Field(True, description="Thinking can be switched off.")
    no_forced_tools: bool = Field(False, description="The model refuses a forced tool choice.")
    no_prefill: bool = Field(False, description="The conversation must not end with an assistant turn.")
    structured: bool = Field(True, description="The model takes `output_config.format`.")
    default_max_tokens: int = Field(8192, ge=1, description="`max_tokens` when the client gives none.")
