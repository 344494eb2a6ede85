"""The page that holds models, and digits, against each other."""
