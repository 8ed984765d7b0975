"""``make demo``: two real jobs, end to end, on data and weights that packages ship."""
