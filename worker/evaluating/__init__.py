"""Evaluations: what a published model makes of a labelled set, by the path on which it is served."""
