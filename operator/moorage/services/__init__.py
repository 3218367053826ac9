"""Use cases: ask the pure core, write in one transaction, call a provider only between transactions."""
