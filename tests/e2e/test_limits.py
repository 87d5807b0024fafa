"""A machine that allows less than what was asked for: fewer oars, said so, and every task ends."""

import contextlib
import os
import resource
import subprocess
import tempfile
import unittest

from trireme import BIN, CLI, Case, environment, main

TASKS = [str(n) for n in range(60)]
SOMEBODY = 54321  # a user that nobody is: what runs as it is this test's


def limited(cli, kind, limit, user=None):
    """Run 60 commands that start another, and 60 calls, under each model."""
    def before():
        if user is not None:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        resource.setrlimit(kind, (limit, limit))

    for model in ("process", "thread", "async"):
        for task in (["--", "sh", "-c", "sleep 0.02; echo $0"], ["--fn", "echo"]):
            done = subprocess.run([cli, "run", "-m", model, "-j", "50", *task, ":::", *TASKS],
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
                                  env=environment(), cwd="/", preexec_fn=before)
            yield model, task[0] == "--", done


@contextlib.contextmanager
def installed():
    """The folder of programs that everybody may run."""
    with tempfile.TemporaryDirectory() as prefix:
        os.chmod(prefix, 0o755)
        subprocess.run([os.environ["TRIREME_CMAKE"], "--install", os.path.dirname(BIN), "--prefix",
                        prefix], check=True, stdout=subprocess.DEVNULL)
        yield os.path.join(prefix, "bin")


class Limits(Case):
    def check(self, model, command, done, limit):
        with self.subTest(model=model, command=command):
            self.assertRan(done)
            self.assertEqual(done.stdout.decode().split(), TASKS)
            if model != "async" or command:
                self.assertIn(b"warn batch.clamped batch=1 width=", done.stderr)
                self.assertIn(f"by the limit of {limit}".encode(), done.stderr)

    def test_few_open_files(self):
        for model, command, done in limited(CLI, resource.RLIMIT_NOFILE, 64):
            self.check(model, command, done, "open files")

    @unittest.skipUnless(os.getuid() == 0, "needs a user with no other process")
    def test_few_processes(self):
        with installed() as programs:
            for model, command, done in limited(os.path.join(programs, "trireme"),
                                                resource.RLIMIT_NPROC, 60, SOMEBODY):
                self.check(model, command, done, "processes and threads")


class Together(Case):
    """Batches of one worker share what it may have."""

    def share(self, limit, text, **worker):
        cluster = self.cluster()
        cluster.worker(prefix=(*worker.pop("prefix", ()), "prlimit", limit), **worker)
        clients = [cluster.start("run", "-j", "50", "--", "sh", "-c", "sleep 0.01; echo $0", ":::",
                                 *range(400)) for _ in range(3)]
        explained = {}
        while any(client.poll() is None for client in clients):
            for number in (1, 2, 3):
                said = cluster.run("explain", number).stdout.decode()
                if "it says: " in said:
                    explained[number] = said
        for client in clients:
            out, err = client.communicate()
            self.assertEqual(client.returncode, 0, err)
            self.assertEqual(out.split(), [b"%d" % n for n in range(400)])
        self.assertTrue(explained)
        for said in explained.values():
            self.assertIn(f"by the limit of {text}, which batches share", said)

    def test_few_open_files_for_commands_of_several_batches(self):
        self.share("--nofile=64:64", "open files")

    @unittest.skipUnless(os.getuid() == 0, "needs a user with no other process")
    def test_few_processes_for_commands_of_several_batches(self):
        with installed() as programs:
            self.share("--nproc=60:60", "processes and threads", program=f"{programs}/trireme-worker",
                       prefix=("setpriv", f"--reuid={SOMEBODY}", "--clear-groups"))


if __name__ == "__main__":
    main()
