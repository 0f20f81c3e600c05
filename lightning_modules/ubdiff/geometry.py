"""OpenFWI's survey, as far as the networks that know of waves need it."""

SHOT_COLUMNS = (0, 17, 34, 52, 69)
"""Columns of the five sources; each of the 70 columns has a receiver."""
SURFACE_ROW = 1
"""Row of sources and receivers."""
CELL_M = 10.0
TIME_STEPS_MS = 1000
"""Milliseconds, and samples at full rate, of a gather."""
WAVELET_DELAY_S = 0.073
"""When the source's wavelet peaks."""
PEAK_FREQUENCY_HZ = 15.0
VELOCITY_CENTRE_M_S = 3000.0
VELOCITY_HALF_RANGE_M_S = 1500.0
"""Of OpenFWI's normalisation: velocity = centre + half range * normalised velocity."""
