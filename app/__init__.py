"""The HTTP service: endpoints translate and delegate."""
