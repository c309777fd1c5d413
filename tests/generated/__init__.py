"""Files that are made from others: the schema, the starter file, and the tables in `docs/`.

The one rule: what can be read off the code is never written by hand. `python -m tests.generated` writes all of it;
with `--check` it writes nothing and says what is stale.
"""
