"""The page to draw a digit, or to upload one."""
