"""Files of others are opened here: by a process of its own that may read tensors and plain values, and do little else.

Nothing in this package imports more than torch needs, so that its process starts quickly.
"""
