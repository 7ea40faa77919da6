"""What the pages share: the frame, what is chosen, what is kept, charts and galleries."""
