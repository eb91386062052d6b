"""Processes that always end with the test that started them."""

import contextlib
import os
import signal
import subprocess

_started = []


def start(command, **options):
    """Start a process as the leader of a new group, with text in its pipes."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, start_new_session=True, **{**pipes, **options})
    _started.append(process)
    return process


def kill(process):
    """Kill a process and all that it started, and wait for its end."""
    if process in _started:
        _started.remove(process)
    # If its group has ended, its number may belong to another process by now.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    process.wait()


def kill_all():
    """Kill all started processes and their children."""
    while _started:
        kill(_started[-1])
