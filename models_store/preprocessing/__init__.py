"""From bytes to tensors, exactly as the pretrained weights expect them."""
