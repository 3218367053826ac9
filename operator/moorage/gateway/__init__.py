"""The model door: what a gateway process spends for its tenants, and how it never forgets it."""
