"""One module for each table: TITLE, `points`, `measure` and `render`, and a docstring that says
what the table shows, which goes into docs/benchmarks.md as it is."""
