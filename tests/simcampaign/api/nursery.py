"""Starts processes that use the API, and kills them: python nursery.py, then one request a line on standard input.

A request is JSON: ``{"code": …, "kill_after": seconds or null}``. The code runs in a process of its own, forked from
this one, which has imported everything; the answer is how it ended, and how long it took.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback

from simcampaign import api  # what the code uses


def main() -> None:
    """Answer requests until there are none."""
    os.write(1, b"ready\n")
    for line in sys.stdin:
        request = json.loads(line)
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            try:
                exec(request["code"], {"api": api})  # noqa: S102 - the test's own code
            except BaseException:  # noqa: BLE001 - the process ends here
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        if request["kill_after"] is not None:
            time.sleep(request["kill_after"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        answer = {"code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - began}
        os.write(1, f"{json.dumps(answer)}\n".encode())


if __name__ == "__main__":
    main()
