"""Toolkits of other languages and other makers, as npm and PyPI have them, in front of the gateway.

The one rule: each script in `scripts/` is what its user would write; what it must say is checked by who runs it.

    python -m tests.clients.toolkits [--only vercel]

installs them, runs each on providers of every dialect, and prints what came of it. It needs uv, npm and
a minute, so the tests do not run it.
"""
