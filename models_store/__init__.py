"""What is stored, and how a stored model runs. Knows no web framework, no task queue and no trainer."""
