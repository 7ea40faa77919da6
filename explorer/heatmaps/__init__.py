"""Where in an image a model finds what speaks for a class; tensors in, maps out."""
