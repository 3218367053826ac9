"""Postgres: the only SQL in the house."""
