"""What runs say of images, compared: arrays in, tables and sentences out; nothing here imports torch."""
