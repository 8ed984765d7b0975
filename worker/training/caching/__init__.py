"""How a training comes to the features of a frozen backbone: kept ones first, one pass for the rest."""
