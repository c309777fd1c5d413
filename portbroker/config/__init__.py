"""The file: its words (`model`), reading it (`load`), and its JSON Schema (`schema`)."""
