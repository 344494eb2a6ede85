"""What several pages use: words, pictures and figures; models, computations and their caches; links."""
