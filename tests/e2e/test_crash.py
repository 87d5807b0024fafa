"""A thousand tasks, five of which kill their process: the others never notice."""

import json

from trireme import Case, descendants, jsonl, main, run, wait_until

CRASHERS = {100: "SEGV", 300: "ABRT", 500: "KILL", 700: "SEGV", 900: "KILL"}


class Crash(Case):
    def crash(self, model, *args):
        lines = "".join(CRASHERS.get(i, "none") + "\n" for i in range(1000))
        cluster = self.cluster("ipc")
        worker = cluster.worker("--test-handlers")
        session, started = worker.pid, worker.process.args
        done = cluster.run("run", "--fn", "crash", "--model", model, "-o", "jsonl", *args,
                           stdin=lines)
        self.assertRan(done, 1)
        rows = jsonl(done.stdout)
        self.assertEqual([r["index"] for r in rows], list(range(1000)))
        for row in rows:
            if row["index"] in CRASHERS:
                self.assertEqual(row["status"], "crashed", row)
                self.assertEqual(row["attempts"], 3, row)
                self.assertIn("SIG" + CRASHERS[row["index"]], row["error"])
            else:
                self.assertEqual((row["status"], row["attempts"]), ("ok", 1), row)
        # The session is the same process, and serves the next batch.
        self.assertIsNone(worker.process.poll())
        again = cluster.run("run", "--fn", "echo", ":::", "still here")
        self.assertEqual(again.stdout, b"still here\n")
        show = json.loads(cluster.run("show", "1", "-o", "json").stdout)
        self.assertEqual(sorted(e["index"] for e in show["dead"]), sorted(CRASHERS))

    def test_process(self):
        self.crash("process")

    def test_thread(self):
        self.crash("thread", "--width", "8")

    def test_async(self):
        self.crash("async")


if __name__ == "__main__":
    main()
