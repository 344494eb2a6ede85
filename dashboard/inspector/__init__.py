"""The page that looks inside: intervals of every layer, the latent plane, where the bound is lost."""
