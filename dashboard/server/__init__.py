"""The server beneath the pages: health, logs, computations in the background and whose turn it is."""
