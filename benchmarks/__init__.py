"""Side by side with what a user would pick instead. Figures, not tests: no build is judged by them."""
