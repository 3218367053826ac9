"""The ledger's invariants, one file per subject; each is a query that must return no rows."""

from moorage.store.invariants import books, domains, holds, lifecycle, payments, seals, usage

ALL = (
    *books.INVARIANTS,
    *holds.INVARIANTS,
    *domains.INVARIANTS,
    *usage.INVARIANTS,
    *payments.INVARIANTS,
    *lifecycle.INVARIANTS,
    *seals.INVARIANTS,
)
