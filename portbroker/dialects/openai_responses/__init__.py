"""OpenAI's Responses API: what Codex and the newer OpenAI SDKs speak, and where OpenAI's newest models take tools."""
