"""What the Python clients have in common: loops that call one after another, and their times."""

import asyncio
import json
import resource
import sys
import time


def orders():
    """Port, requests, requests in flight, and the body, from the command line."""
    port, requests, in_flight, body = sys.argv[1:5]
    return int(port), int(requests), int(in_flight), body


async def run(call, requests, in_flight):
    """Makes the calls and prints what they took; one call before that is not counted."""
    await call()
    left = iter(range(requests))

    async def loop():
        for _ in left:
            await call()

    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    await asyncio.gather(*(loop() for _ in range(in_flight)))
    wall_s = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    numbers = {
        "user_s": after.ru_utime - before.ru_utime,
        "system_s": after.ru_stime - before.ru_stime,
        "wall_s": wall_s,
    }
    print(json.dumps(numbers))
