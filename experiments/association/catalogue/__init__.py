"""Catalogues: days or months of picks, associated window by window."""
