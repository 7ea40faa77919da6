"""The charts, a module for each page that draws them."""
