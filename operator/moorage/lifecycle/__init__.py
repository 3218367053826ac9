"""What may happen next, and what is true now: pure decisions over records and observations."""
