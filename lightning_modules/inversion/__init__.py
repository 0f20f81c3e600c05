"""InversionNet: velocity maps from seismic gathers."""
