"""Reserved money: what a wallet holds is what is reserved of it."""

from moorage.store.invariants.invariant import Invariant

INVARIANTS = (Invariant("I-4", "nothing is held", "SELECT id, name FROM money.wallet WHERE held_micros <> 0"),)
