"""Certificates of the ELBO: what is asked, the methods that answer, what is proved, how far it reaches."""
