"""What frozen backbones have made of items, kept on disk for every later job on the same items and trunk.

A cache: any file of it may vanish at any moment, and costs no more than a computation.
"""
