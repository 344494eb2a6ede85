"""The variational auto-encoder: configuration, networks, likelihoods, ELBO, folders, checks of inputs."""
