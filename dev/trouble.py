"""The one failure of the test bed: a sentence that tells the user what to do."""


class Trouble(Exception):
    """What is wrong and what to do about it, fit to be shown without a stack trace."""
