"""Five tasks that spin for ever, a thousand quick ones, a hundred sleepers: one second each."""

import sys
import time

from trireme import Case, descendants, json, jsonl, main, stat, wait_until


class Timeout(Case):
    def spin(self, model, width):
        cluster = self.cluster("ipc")
        worker = cluster.worker("--test-handlers")
        lines = ["0.6"] * 100 + ["0"] * 1000
        spinners = [20, 150, 400, 800, 1000]
        for place in spinners:
            lines.insert(place, "ever")
        done = cluster.run("run", "--fn", "spin", "--timeout", "1s", "--model", model, "--width",
                           width, "-o", "jsonl", stdin="\n".join(lines) + "\n")
        self.assertRan(done, 1)
        rows = jsonl(done.stdout)
        self.assertEqual(len(rows), len(lines))
        for row, line in zip(rows, lines):
            want = "timeout" if line == "ever" else "ok"
            self.assertEqual(row["status"], want, row)
        # Afterwards nobody spins: over a second, our processes use next to no CPU.
        def ticks():
            return sum(s[2] for s in map(stat, [worker.pid, *descendants(worker.pid)]) if s)

        def quiet():
            before = ticks()
            time.sleep(1)
            return ticks() - before <= 10
        wait_until(quiet, "no process of the worker spins", 5)
        again = cluster.run("run", "--fn", "spin", "--width", width, "--model", model, "-o",
                            "json", ":::", *["0"] * 200)
        self.assertRan(again)
        self.assertEqual(json.loads(again.stdout)["summary"]["ok"], 200)

    def test_process(self):
        self.spin("process", 110)

    def test_thread(self):
        self.spin("thread", 110)

    def test_async(self):
        self.spin("async", 2000)


if __name__ == "__main__":
    main()
