"""`openai.chat`: OpenAI's Chat Completions API, and what the many servers that copy it make of it."""
