"""A broker and workers that can be killed, stopped, replaced and put on machines of their own."""

import json
import os
import signal
import subprocess
import tempfile
import time

import trireme

HEARTBEAT_S, LEASE_S, GRACE_S = 0.3, 2.0, 1.0


class Lab:
    """Everything listens on a socket in a folder of its own, unless `hosts` gives machines:
    then the broker is on machine 1, clients too, and worker k on machine k + 1."""

    def __init__(self, hosts=None, env=None, broker_args=()):
        self.directory = tempfile.TemporaryDirectory(prefix="trireme-chaos-")
        self.hosts, self.extra = hosts, dict(env or {})
        self.endpoint = (f"tcp://{hosts.address(1)}:7117" if hosts
                         else f"ipc://{self.directory.name}/broker")
        self.broker_args = ["--listen", self.endpoint, "--heartbeat", f"{HEARTBEAT_S * 1000:.0f}ms",
                            "--lease", f"{LEASE_S * 1000:.0f}ms",
                            "--open-grace", f"{GRACE_S * 1000:.0f}ms", *broker_args]
        if hosts:
            self.broker_args.append("--insecure-no-auth=network")
        if "--store" not in broker_args:
            self.broker_args += ["--store", f"{self.directory.name}/store"]
        self.workers = {}
        self.logs = []
        self.last_fault = time.monotonic()
        self.broker = None
        self.start_broker()

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        """Everything ends; the logs tell how it failed."""
        if failure is not None:
            print(self.show_logs())
        self.close()

    def environment(self):
        return trireme.environment(TRIREME_INSECURE="network" if self.hosts else "", **self.extra)

    def daemon(self, machine, program, *args, **kw):
        prefix = self.hosts.on(machine) if self.hosts else ()
        started = trireme.Daemon(program, *args, env=self.environment(), prefix=prefix, **kw)
        self.logs.append(started)
        return started

    def start_broker(self):
        """Returns when it listens; fails when it does not start."""
        read, write = os.pipe()
        self.broker = self.daemon(1, "trireme-broker", *self.broker_args, "--ready-fd", write,
                                  pass_fds=(write,))
        os.close(write)
        with os.fdopen(read) as ready:
            if not ready.readline().startswith("listening "):
                raise AssertionError("the broker did not start: " + self.broker.text())
        self.fault_happened()

    def start_worker(self, number, *args):
        name = f"w{number}"
        self.workers[number] = self.daemon(number + 1, "trireme-worker", "--broker", self.endpoint,
                                           "--name", name, "--width", "4", *args)
        self.wait_up(number)

    def wait_up(self, number):
        pid = self.workers[number].pid
        trireme.wait_until(lambda: any(w["pid"] == pid and w["state"] == "up"
                                       for w in self.list_workers()), f"worker {number} joins")
        self.fault_happened()

    def fault_happened(self):
        self.last_fault = time.monotonic()

    def start(self, verb, *args, machine=1, **kw):
        prefix = self.hosts.on(machine) if self.hosts else ()
        return subprocess.Popen([*prefix, trireme.CLI, verb, "--broker", self.endpoint,
                                 *map(str, args)],
                                stdin=kw.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=self.environment(), **kw)

    def run(self, verb, *args, timeout=trireme.PATIENCE):
        """A client to its end: its stdout. Anything but status 0 fails."""
        cli = self.start(verb, *args)
        out, err = cli.communicate(timeout=timeout)
        if cli.returncode != 0:
            raise AssertionError(f"{verb} {args}: status {cli.returncode}: {err.decode()}")
        return out

    def list_workers(self):
        return json.loads(self.run("workers", "-o", "json"))["workers"]

    def leases_of(self, number):
        pid = self.workers[number].pid
        return sum(w["leases"] for w in self.list_workers() if w["pid"] == pid)

    def stop_holding_leases(self, number, choose, random, patience=5.0):
        """Stop the process that `choose` picks at an instant when the broker counts leases on that
        worker: whatever it does next, work is in flight. Its pid, or None when it held none."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            pid = choose()
            if pid is not None:
                try:
                    os.kill(pid, signal.SIGSTOP)
                except ProcessLookupError:
                    continue
                if self.leases_of(number) > 0:
                    return pid
                os.kill(pid, signal.SIGCONT)
            time.sleep(random.uniform(0.005, 0.05))
        return None

    def show_logs(self):
        return "".join(f"--- {d.name} {d.pid}\n" + "\n".join(d.text().splitlines()[-30:]) + "\n"
                       for d in self.logs)

    def close(self):
        for worker in self.workers.values():
            worker.kill(signal.SIGCONT)
        for daemon in [*self.workers.values(), self.broker]:
            daemon.end()
        for daemon in self.logs:
            daemon.close()
        self.directory.cleanup()
