"""The page to attack an image by hand: paint, and see what both models say of it."""
