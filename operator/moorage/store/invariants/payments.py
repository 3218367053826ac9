"""Money from outside, and what may make a balance negative."""

from moorage.store.invariants.invariant import Invariant

INVARIANTS = (
    Invariant(
        "I-13",
        "no balance is negative: nothing but a refund could do that, and there are none yet",
        "SELECT id, name FROM money.wallet WHERE balance_micros < 0",
    ),
)
