"""Parts of workers killed, and workers that stand still past their leases."""

import contextlib
import os
import random
import signal
import time

import trireme
from lab import LEASE_S, Lab
from record import Load

MODELS = ("thread", "process", "async")


def children(worker, word):
    return [p for p in trireme.descendants(worker.pid) if word in trireme.cmdline(p)]


def hosts_of(worker):
    """Processes of the worker that are neither its launcher nor have children: hosts."""
    launchers = children(worker, "--launcher")
    return [p for p in trireme.descendants(worker.pid)
            if p not in launchers and trireme.descendants(p) == []]


def session(worker, dice):
    return worker.pid


def launcher(worker, dice):
    found = children(worker, "--launcher")
    return found[0] if found else None


def host(worker, dice):
    found = hosts_of(worker)
    return dice.choice(found) if found else None


PARTS = {"session": session, "launcher": launcher, "host": host}


@contextlib.contextmanager
def loaded(tally, dice, workers):
    """A lab with that many workers, and a client for each model: all their results come."""
    with Lab() as lab:
        for number in range(1, workers + 1):
            lab.start_worker(number)
        clients = [Load(lab, tally, random.Random(dice.random()), model, ("--model", model))
                   for model in MODELS]
        yield lab
        for client in clients:
            client.finish()


def kill_part(lab, tally, dice, number, part):
    """SIGKILL one part of worker `number` while it is stopped with leases out."""
    worker = lab.workers[number]
    pid = lab.stop_holding_leases(number, lambda: PARTS[part](worker, dice), dice)
    if pid is None:
        raise AssertionError(f"worker {number} never held a lease: nothing was in flight")
    tree = trireme.descendants(worker.pid)
    os.kill(pid, signal.SIGKILL)
    tally.fault(f"{part}s killed")
    lab.fault_happened()
    if part != "session":
        if worker.process.poll() is not None:
            raise AssertionError(f"the session ended when its {part} was killed")
        return
    worker.process.wait()
    trireme.wait_until(lambda: not any(map(trireme.alive, tree)),
                       "nothing of a killed worker is left", 10)
    lab.start_worker(number)


def kills(tally, dice, count):
    with loaded(tally, dice, 3) as lab:
        for turn in range(count):
            time.sleep(dice.uniform(0.05, 0.6))
            kill_part(lab, tally, dice, dice.choice((1, 2, 3)), tuple(PARTS)[turn % len(PARTS)])
    return True


def pauses(tally, dice, count):
    """The session stands still until its leases are someone else's, then wakes and reports."""
    with loaded(tally, dice, 2) as lab:
        for turn in range(count):
            number = 1 + turn % 2
            worker = lab.workers[number]
            pid = lab.stop_holding_leases(number, lambda: worker.pid, dice)
            if pid is None:
                raise AssertionError(f"worker {number} never held a lease")
            trireme.wait_until(lambda: lab.leases_of(number) == 0, "the leases expire",
                               LEASE_S + 5)
            os.kill(pid, signal.SIGCONT)
            tally.fault("workers stopped past their leases")
            lab.fault_happened()
            trireme.wait_until(lambda: lab.leases_of(number) > 0, "it gets work again", 30)
    return True
