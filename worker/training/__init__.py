"""Fine-tuning. The only place that imports Lightning; runs in the child process."""
