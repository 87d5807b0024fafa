"""Real daemons, real sockets, for the end-to-end tests.

TRIREME_BIN names the folder with the programs. Every process started here is ended here, by pid.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

BIN = os.environ.get("TRIREME_BIN") or sys.exit("TRIREME_BIN is not set")
CLI = os.path.join(BIN, "trireme")
SANITIZED = os.environ.get("TRIREME_SANITIZED", "") not in ("", "0")
SUPPRESSIONS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lsan.supp")
# A directory that nobody can make: a broker that is told of no store ends, and touches nothing.
NO_STATE = "/proc/trireme"
# Tests wait for events; this bounds a wait for one that never comes.
PATIENCE = 120.0


def environment(**extra):
    env = {k: v for k, v in os.environ.items() if not k.startswith("TRIREME_")}
    env["HOME"] = "/nonexistent"
    env["STATE_DIRECTORY"] = NO_STATE
    if SANITIZED:
        env["LSAN_OPTIONS"] = f"suppressions={SUPPRESSIONS}:print_suppressions=0"
    env.update(extra)
    return env


def run(*args, stdin=b"", timeout=PATIENCE, env=None, cwd=None):
    """Run the CLI to its end: CompletedProcess with bytes."""
    if isinstance(stdin, str):
        stdin = stdin.encode()
    kind = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
    return subprocess.run([CLI, *map(str, args)], capture_output=True, timeout=timeout,
                          env=env or environment(), cwd=cwd, **kind)


def jsonl(output):
    return [json.loads(line) for line in output.splitlines()]


def wait_until(condition, what, patience=PATIENCE):
    """Poll `condition` until it gives something true; fail with `what` when it never does."""
    end = time.monotonic() + patience
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError("never happened: " + what)
        time.sleep(0.02)


# ---- processes --------------------------------------------------------------------------------

def stat(pid):
    """(state, ppid, cpu ticks) of a process, None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            fields = f.read().rsplit(b")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0].decode(), int(fields[1]), int(fields[11]) + int(fields[12])


def alive(pid):
    s = stat(pid)
    return s is not None and s[0] not in "ZX"


def processes():
    return [int(p) for p in os.listdir("/proc") if p.isdigit()]


def descendants(root):
    """Every living process below `root`, deepest last."""
    parents = {}
    for pid in processes():
        s = stat(pid)
        if s is not None and s[0] not in "ZX":
            parents.setdefault(s[1], []).append(pid)
    found, queue = [], [root]
    while queue:
        children = parents.get(queue.pop(0), [])
        found += children
        queue += children
    return found


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def tagged(tag):
    """Processes that carry `tag` as an argument or in their environment."""
    found = []
    for pid in processes():
        if pid == os.getpid():
            continue
        for name in ("cmdline", "environ"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as f:
                    if tag.encode() in f.read() and alive(pid):
                        found.append(pid)
                        break
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                pass
    return found


def rss_kib(pid):
    try:
        with open(f"/proc/{pid}/status") as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


class Daemon:
    """A process of ours with its stderr kept; shown when a test fails. `prefix` goes before the
    command; it must become it, so that the pid is the program's."""

    def __init__(self, program, *args, env=None, pass_fds=(), prefix=()):
        self.log = tempfile.TemporaryFile()
        self.name = program
        self.process = subprocess.Popen([*prefix, os.path.join(BIN, program), *map(str, args)],
                                        stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, env=env or environment(),
                                        pass_fds=pass_fds)
        self.pid = self.process.pid

    def text(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def kill(self, sig=signal.SIGKILL):
        self.process.send_signal(sig)

    def end(self, patience=30):
        """SIGTERM and wait; SIGKILL if that does not do. Returns the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def close(self):
        self.end()
        self.log.close()


class Cluster:
    """A broker and workers; `endpoint` is "tcp" for loopback with a free port, or "ipc"."""

    def __init__(self, transport="tcp", broker_args=()):
        self.directory = tempfile.TemporaryDirectory(prefix="trireme-e2e-")
        listen = "tcp://127.0.0.1:*" if transport == "tcp" else f"ipc://{self.directory.name}/b"
        args = ["--listen", listen, "--store", "memory", "--log-level", "warn", *broker_args]
        if transport == "tcp":
            args.append("--insecure-no-auth")
        read, write = os.pipe()
        self.broker = Daemon("trireme-broker", *args, "--ready-fd", write, pass_fds=(write,))
        os.close(write)
        with os.fdopen(read) as ready:
            line = ready.readline()
        if not line.startswith("listening "):
            self.broker.end()
            raise AssertionError("the broker did not start: " + self.broker.text())
        self.endpoint = line.split()[1]
        self.workers = []
        self.clients = []

    def worker(self, *args, name=None, program="trireme-worker", **kw):
        name = name or f"w{len(self.workers) + 1}"
        worker = Daemon(program, "--broker", self.endpoint, "--name", name,
                        "--allow-commands", "--log-level", "warn", *args, **kw)
        worker.worker_name = name
        self.workers.append(worker)
        wait_until(lambda: any(w["name"] == name and w["state"] == "up"
                               for w in self.list_workers()), f"worker {name} joins")
        return worker

    def list_workers(self):
        return json.loads(self.run("workers", "-o", "json").stdout)["workers"]

    def run(self, verb, *args, **kw):
        return run(verb, "--broker", self.endpoint, *args, **kw)

    def start(self, verb, *args, **kw):
        """Start the CLI against this cluster; Popen with pipes."""
        client = subprocess.Popen([CLI, verb, "--broker", self.endpoint, *map(str, args)],
                                  stdin=kw.pop("stdin", subprocess.DEVNULL),
                                  stdout=kw.pop("stdout", subprocess.PIPE),
                                  stderr=kw.pop("stderr", subprocess.PIPE), env=environment(), **kw)
        self.clients.append(client)
        return client

    def close(self, show=False):
        for client in self.clients:
            if client.poll() is None:  # a test that failed; without a broker it would wait for ever
                client.kill()
                client.wait()
        for daemon in [*self.workers, self.broker]:
            daemon.end()
        for daemon in [*self.workers, self.broker]:
            if show:
                lines = daemon.text().splitlines()[-40:]
                print(f"--- {daemon.name}", *lines, sep="\n", file=sys.stderr)
            daemon.close()
        self.directory.cleanup()


class Reader(threading.Thread):
    """Collects the lines of a stream, each with its time."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream, self.lines = stream, []
        self.start()

    def run(self):
        for line in self.stream:
            self.lines.append((time.monotonic(), line))


class Writer(threading.Thread):
    """Writes to a stream whose reader may take its time, and closes it."""

    def __init__(self, stream, data):
        super().__init__(daemon=True)
        self.stream, self.data = stream, data
        self.start()

    def run(self):
        with self.stream:
            self.stream.write(self.data)


class Case(unittest.TestCase):
    """A test that leaves nothing behind, or fails."""

    def setUp(self):
        self.clusters = []
        self.maxDiff = 2000

    def cluster(self, *args, **kw):
        self.clusters.append(Cluster(*args, **kw))
        return self.clusters[-1]

    def tearDown(self):
        failed = any(error for _, error in getattr(self._outcome, "errors", [])) or bool(
            self._outcome.result and (len(self._outcome.result.failures)
                                      + len(self._outcome.result.errors)))
        for cluster in self.clusters:
            cluster.close(show=failed)

    def assertRan(self, done, status=0):
        self.assertEqual(done.returncode, status,
                         f"stderr: {done.stderr[-3000:].decode(errors='replace')}")


def main():
    unittest.main(verbosity=2)
