"""The page of two models and one image: what is attained and what is proved, on one axis."""
