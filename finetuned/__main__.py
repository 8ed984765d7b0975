"""``python -m finetuned`` is the command line."""

from finetuned.cli import main

if __name__ == "__main__":
    main()
