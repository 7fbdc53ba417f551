"""Machine learning: the zoo, training, evaluation, model bundles, their registry and runtimes."""
