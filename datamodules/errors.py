"""The one exception a data module raises for a mistake that its user can mend."""


class DataError(ValueError):
    """A fault in the data or in how they were asked for.

    The message is one sentence for the user: what is wrong, where (path or argument), what was wanted, and the mend.
    """
