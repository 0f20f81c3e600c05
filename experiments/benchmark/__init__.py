"""Speed of the suite; see `__main__`."""
