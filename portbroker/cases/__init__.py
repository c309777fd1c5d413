"""Translation cases: what goes in and what must come out, as data, run through the code that serves calls."""
