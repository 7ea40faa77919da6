"""The pages of the app, a file each; they are scripts that the frame runs."""
