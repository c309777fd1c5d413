"""`anthropic.messages`: Anthropic's Messages API."""
