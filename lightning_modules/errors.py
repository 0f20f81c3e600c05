"""The error that a user's own mistake raises: one sentence that says what, where, what was wanted and the mend."""


class ModuleError(ValueError):
    """A module cannot work with what it was given (a setting or a checkpoint); the message names the mend."""
