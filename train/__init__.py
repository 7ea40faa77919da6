"""Training: a data set, an architecture, a norm and a recipe -> a run folder."""
