"""What an invariant is: a sentence that must be true, and the query that finds what breaks it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Invariant:
    """`sql` selects the wallet's id (NULL where it is nobody's) and the key of every row that breaks the sentence.

    It may ask for `$2`: the number of the seal up to which the seals themselves are taken as they are.
    """

    id: str
    sentence: str
    sql: str
