"""The broker killed, on a store that is on a disk; and what others need who do worse to that disk."""

import os
import random
import subprocess
import tempfile
import threading
import time

import trireme
from lab import Lab
from record import HUNG_S, Load, arguments, as_lines


# A broker that is away, or has no room, is waited for.
PATIENT = ("--connect-timeout", "60s")


class Submitter(threading.Thread):
    """Submits batches one after another and remembers those whose number it was told."""

    def __init__(self, lab, dice, count=150):
        super().__init__(daemon=True)
        self.lab, self.dice, self.count = lab, dice, count
        self.stopping = threading.Event()
        self.accepted = {}  # number: arguments
        self.refused = []   # what was said instead
        self.start()

    def run(self):
        while not self.stopping.is_set():
            given = arguments(self.count, 0.01, self.dice)
            cli = self.lab.start("submit", "--fn", "sleep", "--model", "thread",
                                 *PATIENT, stdin=subprocess.PIPE)
            out, err = cli.communicate(as_lines(given))
            if cli.returncode == 0:
                self.accepted[int(out)] = given
            else:
                self.refused.append(err.decode(errors="replace").strip())
            time.sleep(self.dice.uniform(0, 0.4))  # the rest of the work has its turn

    def finish(self):
        self.stopping.set()
        self.join(HUNG_S)
        if self.is_alive():
            raise AssertionError("a submit never ended")

    def check(self, tally):
        """Every accepted batch ends, with the result of every task, and shows the same twice."""
        for number, given in self.accepted.items():
            cli = self.lab.start("wait", number, "--wait-timeout", f"{HUNG_S:.0f}s")
            _, err = cli.communicate()
            if cli.returncode == 75:
                tally.hang(f"batch {number}")
                continue
            cli = self.lab.start("results", number, "-o", "jsonl")
            out, more = cli.communicate()
            if cli.returncode != 0:
                print(f"batch {number}: {err.decode()} {more.decode()}")
            tally.check(given, out.splitlines(), f"batch {number}")


class Durable(Lab):
    """A lab whose broker keeps its batches in `folder`, and can be started there again."""

    def __init__(self, folder, env=None):
        self.folder = folder
        super().__init__(env=env, broker_args=("--store", os.path.join(folder, "store")))

    def kill_broker(self):
        self.broker.kill()
        self.broker.process.wait()
        self.fault_happened()

    def kill_while_starting(self, after_s):
        """A recovery that is cut off somewhere."""
        self.broker = self.daemon(1, "trireme-broker", *self.broker_args)
        time.sleep(after_s)
        self.kill_broker()

    def with_leases(self, patience=20):
        trireme.wait_until(lambda: any(w["leases"] for w in self.list_workers()),
                           "work is in flight", patience)


def with_load(lab, tally, dice, act, submitting=True):
    """Workers and clients around `act`; then everything that was acknowledged is asked for."""
    with lab:
        for number in (1, 2):
            lab.start_worker(number)
        clients = [Load(lab, tally, random.Random(dice.random()), model,
                        ("--model", model, *PATIENT), count=600) for model in ("thread", "async")]
        submitter = Submitter(lab, random.Random(dice.random())) if submitting else None
        act(submitter)
        for client in clients:
            client.finish()
        if submitter:
            submitter.finish()
            submitter.check(tally)
        return True


def kills(tally, dice, count):
    with tempfile.TemporaryDirectory(prefix="trireme-store-") as folder:
        lab = Durable(folder)

        def act(_):
            for _ in range(count):
                time.sleep(dice.uniform(0.05, 0.5))
                lab.with_leases()
                time.sleep(dice.uniform(0, 0.05))
                lab.kill_broker()
                tally.fault("brokers killed")
                time.sleep(dice.choice((0, dice.uniform(0, 1))))
                if dice.random() < 0.3:
                    lab.kill_while_starting(dice.uniform(0, 0.03))
                    tally.fault("brokers killed while starting")
                lab.start_broker()
        return with_load(lab, tally, dice, act)
