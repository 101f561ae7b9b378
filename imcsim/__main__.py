"""``python -m imcsim`` is the command ``imcsim``."""

import sys

from imcsim.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
