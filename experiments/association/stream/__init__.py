"""A stream of picks, days or months of it, associated window by window into a catalogue."""
