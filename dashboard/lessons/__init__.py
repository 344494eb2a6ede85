"""Six short lessons on one digit, from what an ELBO is to what a certificate does not say."""
