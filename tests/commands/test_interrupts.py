"""Ctrl-C and SIGTERM at any moment: one line, status 130, no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import imcsim

ROOT = Path(imcsim.__file__).parents[1]
SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
SEND = "import os, signal, time; os.kill(os.getpid(), signal.{name}); time.sleep(20)"


def end(folder: Path, *arguments: str) -> tuple[int, str]:
    """Status and stderr of a command that finds the modules in `folder` first."""
    done = subprocess.run(
        [sys.executable, "-m", "imcsim", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a shell's background job ignores it
    )
    return done.returncode, done.stderr


@SIGNALS
def test_while_modules_are_imported(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "click.py").write_text(SEND.format(name=number.name))
    assert end(tmp_path, "--help") == (130, "interrupted\n")


@SIGNALS
def test_while_a_command_works(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "yaml.py").write_text(SEND.format(name=number.name))
    assert end(tmp_path, "run", "--policy", "static", "--images", "1") == (130, "interrupted\n")


@SIGNALS
def test_while_text_is_executed(tmp_path: Path, number: signal.Signals) -> None:
    """Python notes that an `exec` of text was cut off, and would end by the signal."""
    (tmp_path / "click.py").write_text(f"exec({SEND.format(name=number.name)!r})")
    assert end(tmp_path, "--help") == (130, "interrupted\n")


@SIGNALS
def test_where_python_swallows_it(tmp_path: Path, number: signal.Signals) -> None:
    """A destructor that runs when the signal comes cannot raise; what runs after it must."""
    send = SEND.format(name=number.name).replace("20", "1")
    source = (
        f"class Swallows:\n    def __del__(self):\n        {send}\nSwallows()\nimport time\ntime.sleep(20)\n"
    )
    (tmp_path / "yaml.py").write_text(source)
    assert end(tmp_path, "run", "--policy", "static", "--images", "1") == (130, "interrupted\n")


def test_where_python_swallows_it_on_a_busy_machine(tmp_path: Path) -> None:
    """Who raises it again waits until the hook of what was swallowed has ended, which swallows it as well."""
    send = SEND.format(name="SIGTERM").replace("20", "1")
    source = f"""
import threading, time
from imcsim.base import interrupts

start, interrupts._RAISED_AGAIN_S = threading.Thread.start, 0.0

def slow(thread):
    start(thread)
    time.sleep(0.3)

threading.Thread.start = slow

class Swallows:
    def __del__(self):
        {send}

Swallows()
time.sleep(20)
"""
    (tmp_path / "yaml.py").write_text(source)
    assert end(tmp_path, "run", "--policy", "static", "--images", "1") == (130, "interrupted\n")


@SIGNALS
def test_where_a_library_makes_an_error_of_it_while_it_is_imported(
    tmp_path: Path, number: signal.Signals
) -> None:
    send = SEND.format(name=number.name)
    source = f"try:\n    {send}\nexcept BaseException:\n    raise ImportError('no such library') from None\n"
    (tmp_path / "click.py").write_text(source)
    assert end(tmp_path, "--help") == (130, "interrupted\n")


@SIGNALS
def test_where_a_library_makes_an_error_of_it(tmp_path: Path, number: signal.Signals) -> None:
    send = SEND.format(name=number.name)
    source = f"try:\n    {send}\nexcept BaseException:\n    raise ImportError('no such library') from None\n"
    (tmp_path / "yaml.py").write_text(source)
    assert end(tmp_path, "run", "--policy", "static", "--images", "1") == (130, "interrupted\n")


def test_signals_that_are_ignored_stay_ignored(tmp_path: Path) -> None:
    """As under nohup and in scripts that trap them."""
    (tmp_path / "yaml.py").write_text(
        SEND.format(name="SIGINT").replace("20", "0") + "\nraise SystemExit(7)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "imcsim", "run", "--policy", "static", "--images", "1"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 7, done.stderr


@SIGNALS
def test_while_the_interpreter_ends(number: signal.Signals) -> None:
    """Python puts back the default action, which would kill it, before it takes its modules apart."""
    code = f"""
import builtins, functools, os, sys
from imcsim.base.interrupts import finished, listen

class Late:
    def __init__(self, send):
        self.send = send

    def __del__(self):
        self.send()

listen()
builtins.late = Late(functools.partial(os.kill, os.getpid(), {int(number)}))
finished(3)
sys.exit(3)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=300)
    assert done.returncode == 3


@SIGNALS
def test_when_a_command_has_just_ended(number: signal.Signals) -> None:
    """Its work is done, but nothing has said so yet: one line, no traceback."""
    code = f"""
import os, sys
import imcsim.base.interrupts as interrupts
from imcsim.__main__ import main

finished = interrupts.finished

def struck(status):
    interrupts.finished = finished
    os.kill(os.getpid(), {int(number)})
    finished(status)

interrupts.finished = struck
sys.argv = ["imcsim", "completion", "bash"]
sys.exit(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")
