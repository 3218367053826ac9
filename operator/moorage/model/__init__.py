"""Nouns of the domain: frozen types, parsing, names, money, conditions, errors. Imports nothing of ours."""
