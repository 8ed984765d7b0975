"""Fuzzing of everything that reads files of users: ``python -m tests.fuzz``; a little of it runs with the tests."""
