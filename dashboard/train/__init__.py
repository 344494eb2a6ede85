"""The page on which a small model is trained while one looks."""
