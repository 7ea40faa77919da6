"""What Normscope knows of models, data sets, runs and predictions, and the app that shows it."""
