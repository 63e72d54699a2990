"""Runs the tests of the `*_sdk.py` files here and says how many passed.

    run.py [NAME [PATTERN...]]

NAME chooses the files whose names begin so, a pattern the tests whose names hold it.
"""

import os
import pathlib
import signal
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent

# A test that takes longer hangs.
PATIENCE_S = 60


class TooLong(BaseException):
    """Not an `Exception`, which an SDK might catch and try again."""


def give_up(*_):
    raise TooLong(f"took longer than {PATIENCE_S} s")


class Result(unittest.TextTestResult):
    """Counts, and ends tests that hang."""

    def startTest(self, test):
        super().startTest(test)
        signal.alarm(PATIENCE_S)

    def stopTest(self, test):
        signal.alarm(0)
        super().stopTest(test)


def main(arguments):
    sys.path.insert(0, str(HERE))
    signal.signal(signal.SIGALRM, give_up)
    # A proxy or a key of the machine's owner must not come into it.
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.endswith(("_API_KEY", "_BASE_URL", "_AUTH_TOKEN")):
            del os.environ[name]
    chosen, patterns = (arguments or [""])[0], arguments[1:]
    loader = unittest.TestLoader()
    loader.testNamePatterns = [f"*{pattern}*" for pattern in patterns] or None
    files = sorted(HERE.glob(f"{chosen}*_sdk.py"))
    suite = unittest.TestSuite(loader.loadTestsFromName(path.stem) for path in files)
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result)
    result = runner.run(suite)
    # A class that could not be set up counts as one test.
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    passed = max(result.testsRun - failed - skipped, 0)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 0 if passed and not failed and not skipped else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
