"""The clock's door: what happens because time passes, and one runner for all of it."""
