"""The wall clock of every process moved by a day, there and back, while timeouts and leases run."""

import glob
import os
import random
import re
import tempfile
import time

from lab import LEASE_S, Lab
from record import Load

LIBRARY = "/usr/lib/*/faketime/libfaketimeMT.so.1"


def day_of(line):
    return re.match(r"\d{4}-\d\d-\d\d", line).group()


def jumps(tally, dice, count):
    library = glob.glob(LIBRARY)
    if not library:
        print("clock jumps need the package faketime: skipped")
        return False
    with tempfile.NamedTemporaryFile("w") as moved:
        def move(offset):
            moved.seek(0)
            moved.write(offset + "\n")
            moved.truncate()
            moved.flush()

        move("+0d")
        lab = Lab(env={"LD_PRELOAD": library[0], "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                       "FAKETIME_NO_CACHE": "1", "FAKETIME_TIMESTAMP_FILE": moved.name,
                       # The interposer comes before a sanitizer's own library.
                       "ASAN_OPTIONS": "verify_asan_link_order=0"})
        with lab:
            for number in (1, 2):
                lab.start_worker(number)
            clients = [Load(lab, tally, random.Random(dice.random()), model,
                            ("--model", model, "--timeout", "5s", "--retries", "0"))
                       for model in ("thread", "async")]
            days = set()
            for turn in range(count):
                time.sleep(dice.uniform(0.2, 0.6))
                move(("+1d", "-1d", "+0d")[turn % 3])
                tally.fault("jumps of the wall clock")
                lab.fault_happened()
                lab.run("list")  # a client joins, and the broker logs when
                days.add(day_of(lab.broker.text().splitlines()[-1]))
            time.sleep(LEASE_S)
            for client in clients:
                client.finish()
            if count >= 3 and len(days) < 3:
                raise AssertionError(f"the broker's clock did not move: {days}")
            for daemon in lab.logs:
                if re.search("expired|why=silent|timeout", daemon.text()):
                    raise AssertionError("a jump ended a lease, a session or a task:\n"
                                         + daemon.text())
            return True
