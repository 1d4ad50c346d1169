"""The measurements of docs/performance.md: `make bench` runs them all and writes the table."""
