"""The leak guard: which items of an upload are copies of one another, to the bit or nearly.

Pure functions of contents. Time grows as n log n and memory by some bytes an item; nothing here depends on the order
of the upload.
"""
