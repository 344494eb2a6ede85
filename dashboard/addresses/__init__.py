"""What an address can say: the settings of each page as a value; which images and models there are."""
