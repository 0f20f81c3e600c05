"""The mistakes that a user of the programs can make."""


class SettingsError(ValueError):
    """A setting, option or run folder that cannot be used; the message is one sentence with the mend."""
