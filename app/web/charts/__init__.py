"""Figures as pictures and tables: pure functions of a report's values, drawn on the server.

Text is escaped by construction, and how things look is said by classes alone: the page's policy allows no inline style.
Every picture has its values beside it as text, or is a table itself.
"""
