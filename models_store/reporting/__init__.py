"""How good a model is on labelled items: pure functions of logits and labels, for training and evaluation alike."""
