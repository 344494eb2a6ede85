"""What goes with certificates as files: their witness, and the second program that checks them."""
