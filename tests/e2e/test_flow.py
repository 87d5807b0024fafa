"""A stream larger than memory allows: input is taken under credit, output comes at once."""

import subprocess
import threading
import time

from trireme import (CLI, SANITIZED, Case, Daemon, descendants, environment, main, rss_kib,
                     wait_until)


class Flow(Case):
    def stream(self, count, handler, first_line, check_stop=False):
        cli = subprocess.Popen([CLI, "run", "--fn", handler, "--model", "thread", "--width", "2",
                                "--test-handlers"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=environment())
        state = {"written": 0, "done": False}

        def produce():
            block = b"".join(b"n%097d\n" % i for i in range(1000))
            cli.stdin.write(first_line)
            for i in range(count // 1000):
                cli.stdin.write(block)
                state["written"] += 1000
            cli.stdin.close()
            state["done"] = True

        producer = threading.Thread(target=produce, daemon=True)
        producer.start()
        peak = {}
        first = cli.stdout.readline()
        state["first_while_writing"] = not state["done"]
        got = 1
        expected = 0
        while True:
            block = cli.stdout.read(99 * 5000)
            if not block:
                break
            self.assertEqual(len(block) % 99, 0)
            for i in range(0, len(block), 99):
                if int(block[i + 1:i + 98]) != expected % 1000:
                    self.fail(f"line {got} is out of order: {block[i:i + 99]!r}")
                expected += 1
                got += 1
            if got % 500000 < 5000:
                for pid in [cli.pid, *descendants(cli.pid)]:
                    peak[pid] = max(peak.get(pid, 0), rss_kib(pid))
        producer.join(60)
        self.assertEqual(cli.wait(60), 0, cli.stderr.read())
        cli.stdout.close()
        cli.stderr.close()
        self.assertEqual(got, count + 1)
        return first, state, peak

    def test_lines_stream_through_in_order(self):
        count = 1_000_000 if SANITIZED else 2_000_000
        first, state, peak = self.stream(count, "echo", b"first\n")
        self.assertEqual(first, b"first\n")
        self.assertTrue(state["first_while_writing"])

    def test_a_slow_first_task_fills_the_window_and_input_stops(self):
        # More than the windows on the way hold, so that the producer has to wait.
        count = 1_000_000 if SANITIZED else 2_000_000
        first, state, peak = self.stream(count, "late", b"late 5\n")
        self.assertEqual(first, b"late 5\n")
        self.assertTrue(state["first_while_writing"])


if __name__ == "__main__":
    main()
