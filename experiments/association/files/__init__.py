"""Files of the association runner: picks, stations, speeds and times in; the results out."""
