"""The command-line agents that people use, as npm has them, at work through the gateway.

The one rule: nothing of an agent is replaced; only the provider at the far end follows a script.

    python -m tests.clients.agents [--only codex] [--keep]

installs them, connects each with `portbroker connect`, has it read a file, write another and run a command, on
providers of each dialect, and prints what came of it. It needs npm and a minute or two, so the tests do not run it.
"""
