"""Settings and errors: the ground everything else stands on."""
