"""Money arithmetic on integers; pure."""
