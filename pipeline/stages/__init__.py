"""What a study may name that needs torch: recording a model, Brain-Score's door."""
