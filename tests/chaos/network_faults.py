"""Machines cut off and joined again: a worker's, the clients', one way only."""

import os
import random
import time

import trireme
from hosts import Hosts
from lab import LEASE_S, Lab
from record import Load

CLIENTS = 4  # their machine


def partition(lab, hosts, tally, dice, kind):
    """One machine away for as long as the dice say: within a heartbeat or past the lease."""
    machine = {"worker": dice.choice((2, 3)), "clients": CLIENTS, "one way": dice.choice((2, 3))}
    number = machine[kind]
    if kind != "clients":
        trireme.wait_until(lambda: lab.leases_of(number - 1) > 0, "the worker holds leases")
    if kind == "one way":
        hosts.mute(number, 1)
    else:
        hosts.cut(number)
    time.sleep(dice.choice((0.2, LEASE_S / 2, LEASE_S + 1.0)) + dice.uniform(0, 0.3))
    if kind == "one way":
        hosts.unmute(number, 1)
    else:
        hosts.heal(number)
    tally.fault({"worker": "partitions of a worker", "clients": "partitions of the clients",
                 "one way": "one-way partitions"}[kind])
    lab.fault_happened()
    if kind != "clients":
        trireme.wait_until(lambda: lab.leases_of(number - 1) > 0, "the worker gets work again")
        lab.fault_happened()


def partitions(tally, dice, count):
    if os.geteuid() != 0:
        print("partitions need root for network namespaces: skipped")
        return False
    hosts = Hosts(CLIENTS)
    try:
        lab = Lab(hosts)
        with lab:
            for number in (1, 2):
                lab.start_worker(number)
            clients = [Load(lab, tally, random.Random(dice.random()), f"clients on {machine}",
                            ("--model", model), machine=machine)
                       for machine, model in ((1, "thread"), (CLIENTS, "async"))]
            for turn in range(count):
                partition(lab, hosts, tally, dice, ("worker", "clients", "one way")[turn % 3])
                time.sleep(dice.uniform(0.1, 0.5))
            for client in clients:
                client.finish()
            return True
    finally:
        hosts.close()
