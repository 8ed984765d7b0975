"""Everything that runs a job: Celery tasks, their supervisor, and the child process that does the work."""
