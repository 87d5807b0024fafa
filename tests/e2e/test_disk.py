"""A store on a disk that is full, and on one that fails: what the broker and its clients say and do.
Such disks need root."""
import json
import os
import subprocess
import tempfile
import unittest

from disks import Cuttable, Growing
from trireme import Cluster, Daemon, Reader, environment, wait_until

OK, INTERNAL, NO_ROOM = 0, 70, 75
FULL = "the disk of the broker's store is full"
WAITS = "the disk of its store is full: batch "


@unittest.skipUnless(os.geteuid() == 0, "a disk of one's own needs root")
class Disk(unittest.TestCase):
    def on(self, disk):
        """A broker whose store is on that disk, and a worker."""
        self.disk = disk.__enter__()
        self.addCleanup(disk.__exit__)
        self.store = os.path.join(self.disk.folder, "store")
        self.cluster = Cluster("ipc", ("--store", self.store, "--log-level", "info"))
        self.addCleanup(self.cluster.close)
        self.cluster.worker()
        return self.cluster

    def restart(self):
        self.cluster.broker = Daemon("trireme-broker", "--listen", self.cluster.endpoint,
                                     "--store", self.store, "--log-level", "info")

    def fill(self):
        self.disk.fill(0)
        wait_until(lambda: "store.full" in self.cluster.broker.text(), "the broker notices")

    def batches(self):
        done = self.cluster.run("list", "-o", "json")
        self.assertEqual(done.returncode, OK, done.stderr)
        return json.loads(done.stdout)["batches"]


class Full(Disk):
    def setUp(self):
        self.on(Growing())

    def test_nothing_new_is_taken_and_what_runs_goes_on(self):
        run = self.cluster.start("run", "--fn", "sleep", "--width", "1", ":::", *["0.05"] * 40)
        wait_until(lambda: any(b["leased"] for b in self.batches()), "the batch runs")
        self.fill()
        done = self.cluster.run("submit", "--connect-timeout", "1s", "--fn", "square", ":::", "1")
        self.assertEqual(done.returncode, NO_ROOM, done.stderr)
        self.assertIn(FULL, done.stderr.decode())
        self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)
        self.answers()
        out, err = run.communicate()
        self.assertEqual((run.returncode, out.count(b"\n")), (OK, 40), err)
        self.disk.grow()
        done = self.cluster.run("run", "--connect-timeout", "30s", "--fn", "square", ":::", "9")
        self.assertEqual((done.returncode, done.stdout), (OK, b"81\n"), done.stderr)
        self.assertIn("store.room", self.cluster.broker.text())

    def answers(self):
        for verb in (("list",), ("show", "1"), ("explain", "1"), ("workers",)):
            self.assertEqual(self.cluster.run(*verb).returncode, OK, verb)

    def exhaust(self):
        """Four results of 600 kB come when others have taken the whole disk."""
        ready = os.path.join(self.cluster.directory.name, "ready")
        run = self.cluster.start("run", "--width", "4", "--range", "1-4", "--", "sh", "-c",
                                 f"until test -e {ready}; do sleep 0.05; done; "
                                 "head -c 600000 /dev/zero | tr '\\0' x; echo {}")
        wait_until(lambda: sum(b["leased"] for b in self.batches()) == 4, "they run")
        self.fill()
        open(ready, "w").close()
        wait_until(lambda: "store.exhausted" in self.cluster.broker.text(), "the reserve is spent")
        return run

    def goes_on(self, run):
        self.answers()
        self.disk.grow()
        out, err = run.communicate()
        self.assertEqual(run.returncode, OK, err)
        self.assertEqual(out, b"".join(b"x" * 600000 + b"%d\n" % i for i in (1, 2, 3, 4)))

    def test_a_disk_without_any_room_is_waited_for_and_questions_are_answered(self):
        self.goes_on(self.exhaust())

    def test_a_broker_that_is_killed_on_such_a_disk_comes_back_on_it(self):
        run = self.exhaust()
        self.cluster.broker.kill()
        self.cluster.broker.close()
        self.restart()
        self.goes_on(run)

    def test_who_appends_waits_says_so_and_goes_on(self):
        run = self.cluster.start("run", "--fn", "echo", stdin=subprocess.PIPE)
        said = Reader(run.stderr)
        got = Reader(run.stdout)
        run.stdin.write(b"before\n")
        run.stdin.flush()
        wait_until(lambda: got.lines, "the first result")
        self.fill()
        run.stdin.write(b"after\n")
        run.stdin.flush()
        wait_until(lambda: said.lines, "the client complains")
        self.assertIn(WAITS + "1 waits for room", said.lines[0][1].decode())
        self.disk.grow()
        run.stdin.close()
        self.assertEqual(run.wait(), OK)
        got.join()
        said.join()
        self.assertEqual([line for _, line in got.lines], [b"before\n", b"after\n"])
        for text in (b"full", b"batch 1 goes on"):
            self.assertEqual(sum(text in line for _, line in said.lines), 1, said.lines)
        run.stdout.close()
        run.stderr.close()


class Failing(Disk):
    def test_a_failed_sync_ends_the_broker_and_what_was_acknowledged_is_there_again(self):
        cluster = self.on(Cuttable())
        done = cluster.run("submit", "--name", "kept", "--fn", "square", ":::", "3")
        self.assertEqual(done.returncode, OK, done.stderr)
        self.disk.cut()
        with tempfile.TemporaryFile() as err:
            run = cluster.start("run", "--connect-timeout", "60s", "--fn", "square", ":::", "4",
                                stderr=err)
            self.assertEqual(cluster.broker.process.wait(30), INTERNAL)
            said = cluster.broker.text()
            self.assertIn("store.failed", said)
            self.assertRegex(said, "(?m)^trireme-broker: .*the disk failed .*start again$")
            self.disk.power_off()
            self.disk.power_on()
            cluster.broker.close()
            self.restart()
            out, _ = run.communicate(timeout=60)
            err.seek(0)
            self.assertEqual((run.returncode, out), (OK, b"16\n"), err.read())
        self.assertEqual([b["name"] for b in self.batches()].count("kept"), 1)
        done = cluster.run("results", "1")
        self.assertEqual((done.returncode, done.stdout), (OK, b"9\n"), done.stderr)


if __name__ == "__main__":
    unittest.main()
