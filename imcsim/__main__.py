"""The command ``imcsim``, also as ``python -m imcsim``.

Nothing but this file is imported before an interruption is answered in one line.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main() -> int:
    """Run the command line of this process; returns its exit status (see `imcsim.commands.cli.main`)."""
    interrupts: Any = None
    try:
        from imcsim.base import interrupts

        interrupts.listen()
        from imcsim.commands.cli import main as run

        status = run()
        interrupts.finished(status)
    except BaseException as error:  # while modules were imported; some make an error of their own of it
        if not isinstance(error, KeyboardInterrupt) and not (interrupts is not None and interrupts.heard()):
            raise
        sys.stderr.write("interrupted\n")
        status = 130
        if interrupts is not None:
            interrupts.finished(status)
    # An interruption that cut off an `exec` of text, as dataclasses need, is noted by Python, which would end
    # ``python -m imcsim`` by SIGINT instead of with this status. The next `exec` takes the note away.
    exec("")
    return status


if __name__ == "__main__":
    sys.exit(main())
