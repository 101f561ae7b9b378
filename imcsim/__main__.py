"""The command ``imcsim``, also as ``python -m imcsim``.

Nothing but this file is imported before an interruption is answered in one line.
"""

import sys


def main() -> int:
    """Run the command line of this process; returns its exit status (see `imcsim.commands.cli.main`)."""
    try:
        from imcsim.base.interrupts import finished, listen

        listen()
        from imcsim.commands.cli import main as run

        status = run()
        finished(status)
        return status
    except KeyboardInterrupt:  # while modules were imported
        sys.stderr.write("interrupted\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
