"""The page of the whole evaluation: every model over the test set."""
