"""Travel times from any point to the stations, from whatever is known of the wave speed."""
