"""Starts `forebay sim` for a test and stops it again."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("FOREBAY_BIN", str(ROOT / "target" / "debug" / "forebay"))
KEY = "sdk-test-key"


class Sim:
    """A simulated provider on a free port; use it in a `with`."""

    def __init__(self, *flags):
        flags = ["--port", "0", "--latency", "0", "--key", KEY, *flags]
        self.process = subprocess.Popen(
            [BINARY, "sim", *flags], stdout=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        assert "http://" in line, f"the simulator did not start: {line!r}"
        self.url = line.split()[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
