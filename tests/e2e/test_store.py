"""Where the daemon keeps its batches, and what it says when it cannot: one line, status 69, and every
file stays as it was."""
import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import unittest

from trireme import BIN, CLI, Daemon, environment, run, wait_until

BROKER = os.path.join(BIN, "trireme-broker")
OK, USAGE, UNAVAILABLE = 0, 2, 69


def content(path):
    if not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def snapshot(directory):
    """Every file in `directory`, with its mode."""
    return {entry.path: (entry.stat().st_mode, content(entry.path))
            for entry in os.scandir(directory)}


def mode(path):
    return os.stat(path).st_mode & 0o7777


class Store(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.TemporaryDirectory(prefix="trireme-e2e-")
        self.addCleanup(self.top.cleanup)
        self.sockets = tempfile.TemporaryDirectory(prefix="trireme-e2e-")
        self.addCleanup(self.sockets.cleanup)
        self.endpoint = f"ipc://{self.sockets.name}/broker"
        self.file = self.path("broker.db")

    def path(self, *names):
        return os.path.join(self.top.name, *names)

    def start(self, *args, prefix=(), **extra):
        """A broker that listens."""
        read, write = os.pipe()
        broker = Daemon("trireme-broker", "--listen", self.endpoint, "--log-level", "error",
                        *args, "--ready-fd", write, pass_fds=(write,), prefix=prefix,
                        env=environment(**extra))
        os.close(write)
        self.addCleanup(broker.close)
        with os.fdopen(read) as ready:
            self.assertTrue(ready.readline().startswith("listening "), broker.text())
        return broker

    def refused(self, *texts, store=None, prefix=(), **extra):
        """It ends with status 69, or another one, and one line with these in it; nothing has
        changed."""
        before = snapshot(self.top.name)
        self.ends(*texts, store=store, prefix=prefix, **extra)
        self.assertEqual(snapshot(self.top.name), before)

    def ends(self, *texts, store, prefix=(), status=UNAVAILABLE, **extra):
        args = () if store is None else ("--store", store)
        done = subprocess.run([*prefix, BROKER, "--listen", self.endpoint + "2", "--log-level",
                               "error", *args], capture_output=True, text=True, timeout=60,
                              env=environment(**extra))
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertTrue(done.stderr.startswith("trireme-broker: "), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertEqual(done.stdout, "")
        for text in texts:
            self.assertIn(text, done.stderr)

    def submit(self):
        done = run("submit", "--broker", self.endpoint, "--name", "kept", "--fn", "square",
                   ":::", "1", "2", "3")
        self.assertEqual(done.returncode, OK, done.stderr)

    def listed(self):
        done = run("list", "--broker", self.endpoint)
        self.assertEqual(done.returncode, OK, done.stderr)
        return done.stdout.decode().count("kept")

    def change(self, sql):
        with sqlite3.connect(self.file) as database:
            database.execute(sql)
        database.close()

    def make(self):
        """A store with a batch in it, of a broker that has ended."""
        broker = self.start("--store", self.file)
        self.submit_with_worker()
        self.assertEqual(broker.end(), OK, broker.text())
        os.remove(self.file + "-reserve")  # it may be, and is large

    def submit_with_worker(self):
        """A handler is known once a worker has offered it. It is gone before it could run anything."""
        worker = Daemon("trireme-worker", "--broker", self.endpoint, "--name", "w", "--log-level",
                        "error")
        self.addCleanup(worker.close)
        wait_until(lambda: run("workers", "--broker", self.endpoint).stdout.count(b"\n") > 1,
                   "the worker joins")
        worker.end()
        self.submit()


class Place(Store):
    """Nobody says which file."""

    def goes_on(self, directory, **how):
        """A broker keeps its batches in broker.db there, and the next one finds them."""
        before = os.umask(0)
        try:
            broker = self.start(**how)
        finally:
            os.umask(before)
        self.submit_with_worker()
        if directory:
            self.assertEqual(mode(directory), 0o700)
            for suffix in ("", "-wal", "-reserve"):
                self.assertEqual(mode(f"{directory}/broker.db{suffix}"), 0o600, suffix)
        self.assertEqual(broker.end(), OK, broker.text())
        broker = self.start(**how)
        self.assertEqual(self.listed(), 1)
        self.assertEqual(broker.end(), OK, broker.text())

    def test_a_service_keeps_its_batches_in_its_state_directory(self):
        self.goes_on(self.path("state", "first"),
                     STATE_DIRECTORY=self.path("state", "first") + ":" + self.path("second"))
        self.assertFalse(os.path.exists(self.path("second")))

    @unittest.skipIf(os.geteuid() != 0, "needs root")
    def test_roots_are_below_var_lib(self):
        # /var/lib is this test's own: both brokers see the directory that stands for it.
        os.mkdir(self.path("lib"))
        script = 'mount --bind "$0" /var/lib && exec "$@"'
        self.goes_on(self.path("lib", "trireme"), STATE_DIRECTORY="",
                     prefix=("unshare", "-m", "sh", "-c", script, self.path("lib")))

    def test_memory_is_asked_for_by_name(self):
        for how in ("--store", "memory"), ("--config", self.path("conf")):
            with open(self.path("conf"), "w") as file:
                file.write('broker\n    store = "memory"\n')
            broker = self.start(*how, STATE_DIRECTORY=self.path("state"))
            self.assertEqual(broker.end(), OK, broker.text())
            self.assertFalse(os.path.exists(self.path("state")))

    def test_the_configuration_names_a_file(self):
        with open(self.path("conf"), "w") as file:
            file.write(f'broker\n    store = "{self.file}"\n')
        broker = self.start("--config", self.path("conf"))
        self.assertEqual(broker.end(), OK, broker.text())
        self.assertTrue(os.path.exists(self.file))

    def test_a_state_directory_that_cannot_be_made_is_named(self):
        self.refused("cannot make the state directory /proc/trireme", "--store")
        open(self.path("file"), "w").close()
        self.refused("cannot make the state directory", "Not a directory", "--store",
                     STATE_DIRECTORY=self.path("file", "state"))
        self.refused("is not a directory", STATE_DIRECTORY=self.path("file"))

    def test_a_relative_state_directory_is_refused(self):
        self.refused("STATE_DIRECTORY is not an absolute path (state)", "--store", status=USAGE,
                     STATE_DIRECTORY="state")


class Limited(Store):
    """Files may not grow without end (prlimit counts in bytes)."""

    def ignores(self, daemon, number):
        with open(f"/proc/{daemon.pid}/status") as file:
            ignored = next(line for line in file if line.startswith("SigIgn:"))
        return int(ignored.split()[1], 16) >> (number - 1) & 1 == 1

    def test_a_store_that_cannot_grow_is_not_begun(self):
        self.refused("no file may have more than 8388608 bytes here, a store needs 16777216",
                     "ulimit -f", "--store memory", store=self.file,
                     prefix=("prlimit", "--fsize=8388608"))
        broker = self.start("--store", "memory", prefix=("prlimit", "--fsize=8388608"))
        self.submit_with_worker()
        self.assertEqual(broker.end(), OK, broker.text())

    def test_a_store_works_within_a_limit_and_says_when_it_is_full(self):
        broker = self.start("--store", self.file, "--log-level", "warn",
                            prefix=("prlimit", "--fsize=16777216"))
        self.assertIn("bytes_max=16777216", broker.text())
        self.assertTrue(self.ignores(broker, signal.SIGXFSZ))
        self.submit_with_worker()
        given = self.path("given")
        with open(given, "wb") as file:
            file.write((b"x" * 100000 + b"\n") * 200)
        with open(given, "rb") as stdin:
            client = subprocess.Popen([CLI, "submit", "--broker", self.endpoint, "--fn", "echo"],
                                      stdin=stdin, stderr=subprocess.PIPE, env=environment())
        self.addCleanup(client.communicate)
        self.addCleanup(client.kill)
        self.assertTrue(any(b"has no room for more" in line for line in client.stderr))
        self.assertEqual(self.listed(), 1)
        self.assertEqual(broker.end(), OK, broker.text())
        self.start("--store", self.file)
        self.assertEqual(self.listed(), 1)

    def test_a_limit_that_may_be_raised_is_none(self):
        broker = self.start("--store", self.file, prefix=("prlimit", "--fsize=8388608:unlimited"))
        self.submit_with_worker()
        self.assertTrue(os.path.exists(self.file + "-reserve"))
        self.assertEqual(broker.end(), OK, broker.text())


class Bad(Store):
    """Files that are no store, or cannot be used."""

    def test_what_is_no_store_is_refused(self):
        with open(self.file, "w") as file:
            file.write("precious " * 100)
        self.refused("is not a store of Trireme", "name another file", store=self.file)
        self.refused("is a directory", "name a file in it", store=self.top.name)
        self.refused("its directory cannot be used", "make it", store=self.path("none", "broker.db"))
        self.refused("broker.db is not a directory", store=self.path("broker.db", "broker.db"))
        os.remove(self.file)
        os.mkfifo(self.file)
        self.refused("is not a regular file", "name another file", store=self.file)

    def test_the_database_of_another_program_is_refused(self):
        with sqlite3.connect(self.file) as other:
            other.execute("CREATE TABLE heads (a)")
        other.close()
        self.refused("SQLite database of another program", "name another file", store=self.file)

    def test_a_store_that_was_cut_or_damaged_is_refused(self):
        self.make()
        shutil.copy(self.file, self.path("copy"))
        for size in (1, 99, 512, 16384, 40000):
            shutil.copy(self.path("copy"), self.file)
            os.truncate(self.file, size)
            self.refused("damaged", "restore it", store=self.file)
        shutil.copy(self.path("copy"), self.file)
        with open(self.file, "r+b") as file:
            file.seek(100)
            file.write(b"\xa5" * 200)
        self.refused("is damaged", "restore it", "begin anew", store=self.file)

    def test_rows_that_contradict_each_other_are_named(self):
        self.make()
        shutil.copy(self.file, self.path("copy"))
        for sql, why in (("UPDATE heads SET head = x'c0' WHERE tab = 1",
                          "row BATCH 1/0: it is no array"),
                         ("DELETE FROM heads WHERE tab = 2", "batch 1: items of it are missing"),
                         ("DELETE FROM heads WHERE tab = 0 AND key = 0",
                          "the row that comes first is missing")):
            shutil.copy(self.path("copy"), self.file)
            self.change(sql)
            before = content(self.file)
            self.ends("is damaged (", why, "restore it", store=self.file)
            self.assertEqual(content(self.file), before)

    def test_a_newer_store_is_refused(self):
        self.make()
        self.change("PRAGMA user_version = 99")
        self.refused("has format 99", "use the version that wrote it", store=self.file)

    def test_a_log_without_its_file_is_refused(self):
        with open(self.file + "-wal", "w") as log:
            log.write("precious")
        self.refused("is empty or gone, but its log", "restore both", store=self.file)

    @unittest.skipIf(os.geteuid() != 0, "needs root: a user's own file is read-only to nobody else")
    def test_a_store_that_cannot_be_written_is_refused(self):
        script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
        self.make()
        self.refused("cannot write in directory", "change its owner or mode", store=self.file,
                     prefix=("unshare", "-m", "sh", "-c", script, self.top.name))
        self.refused("cannot be read and written", "change its owner or mode", store=self.file,
                     prefix=("unshare", "-m", "sh", "-c", script, self.file))

    def test_a_second_broker_on_the_same_file_is_refused_and_the_first_serves_on(self):
        first = self.start("--store", self.file)
        self.submit_with_worker()
        self.ends("is in use", "stop the other broker", store=self.file)
        self.assertEqual(self.listed(), 1)
        self.assertEqual(first.end(), OK, first.text())


class Moved(Store):
    """Somebody removes or renames files of a broker that runs. What it writes then nobody would find."""

    def disturb(self, change):
        """A broker with a batch; `change` happens; it ends before it acknowledges another one."""
        broker = self.start("--store", self.file)
        self.submit_with_worker()
        change()
        client = subprocess.Popen([CLI, "submit", "--broker", self.endpoint, "--range", "1-9", "--fn",
                                   "square"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  env=environment())
        status = broker.process.wait(60)
        client.kill()  # it would wait for a broker
        self.assertEqual(client.communicate()[0], b"")
        self.assertEqual(status, 70, broker.text())
        self.assertIn("store.failed", broker.text())
        self.assertIn("was removed, renamed or replaced while the broker used it", broker.text())

    def test_of_a_file_that_was_renamed_nothing_is_lost(self):
        self.disturb(lambda: os.rename(self.file, self.path("away")))
        self.ends("is empty or gone, but its log", store=self.file)
        os.rename(self.path("away"), self.file)
        self.start("--store", self.file)
        self.assertEqual(self.listed(), 1)

    def test_of_a_log_that_was_removed_nothing_is_lost(self):
        self.disturb(lambda: os.remove(self.file + "-wal"))
        self.start("--store", self.file)
        self.assertEqual(self.listed(), 1)

    def test_nothing_is_acknowledged_into_a_file_that_was_removed(self):
        self.disturb(lambda: os.remove(self.file))

    def test_files_that_took_its_place_stay_as_they_are(self):
        def replace():
            for suffix in "", "-wal":
                os.rename(self.file + suffix, self.path("away" + suffix))
                with open(self.file + suffix, "w") as file:
                    file.write("precious " * 100)

        self.disturb(replace)
        for suffix in "", "-wal":
            with open(self.file + suffix) as file:
                self.assertEqual(file.read(), "precious " * 100)
            os.rename(self.path("away" + suffix), self.file + suffix)
        self.start("--store", self.file)
        self.assertEqual(self.listed(), 1)


class Damaged(Store):
    """One result of a batch cannot be read any more."""

    def damaged(self, *job):
        """A broker that has lost the first row of a batch that has ended."""
        broker = self.start("--store", self.file)
        worker = Daemon("trireme-worker", "--broker", self.endpoint, "--log-level", "error")
        self.addCleanup(worker.close)
        wait_until(lambda: run("submit", "--broker", self.endpoint, "--range", "1-1000", "--fn",
                               "square", *job).returncode == OK, "the worker offers its handlers")
        self.assertEqual(run("wait", "--broker", self.endpoint, "1").returncode, OK)
        worker.end()
        self.assertEqual(broker.end(), OK, broker.text())
        self.change("UPDATE heads SET sum = ~sum WHERE tab = 3 AND key = 0")
        self.start("--store", self.file)

    def results(self):
        done = run("results", "--broker", self.endpoint, "1")
        self.assertEqual(done.returncode, 70, done.stderr)
        self.assertIn(b"batch 1: results are missing: row 0 of batch 1 cannot be read", done.stderr)
        return done.stdout

    def test_the_others_are_given_and_it_is_missed(self):
        self.damaged()
        values = [int(value) for value in self.results().split()]
        self.assertEqual(values, sorted(values))
        self.assertLess(set(values), {i * i for i in range(1, 1001)})

    def test_what_was_to_be_folded_from_it_has_no_value(self):
        self.damaged("--reduce", "sum")
        self.assertEqual(self.results(), b"")


if __name__ == "__main__":
    unittest.main()
