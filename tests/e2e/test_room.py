"""A broker without room: who waits for it says so, and says when it goes on."""

import subprocess

from trireme import PATIENCE, Case, Reader, Writer, jsonl, main, wait_until

LINES = [b"%d:" % i + b"x" * 50_000 for i in range(60)]  # of which the broker takes a part
WAITS = "trireme: batch 1 waits: the broker has no room for more of its tasks."
GOES_ON = "trireme: batch 1 goes on"


class Room(Case):
    def wait_for_room(self, verb, *task):
        """What is said on stdout and stderr when nobody works at first."""
        cluster = self.cluster("ipc", broker_args=["--memory", "1M"])
        cluster.worker().end()  # the broker knows the handler now
        client = cluster.start(verb, *task, stdin=subprocess.PIPE)
        said, got = Reader(client.stderr), Reader(client.stdout)
        feeder = Writer(client.stdin, b"\n".join(LINES))
        wait_until(lambda: any(WAITS in line.decode() for _, line in said.lines), "it says why")
        cluster.worker()
        self.assertEqual(client.wait(PATIENCE), 0)
        for thread in (feeder, said, got):
            thread.join()
        client.stdout.close()
        client.stderr.close()
        said = [line.decode() for _, line in said.lines]
        self.assertEqual([sum(text in line for line in said) for text in (WAITS, GOES_ON)], [1, 1])
        return cluster, b"".join(line for _, line in got.lines)

    def test_a_submit_says_why_it_waits(self):
        cluster, out = self.wait_for_room("submit", "--", "sh", "-c", "echo ${#0}")
        self.assertEqual(out, b"1\n")
        self.assertEqual(cluster.run("results", "1").stdout,
                         b"".join(b"%d\n" % len(line) for line in LINES))

    def test_a_run_says_so_too_and_its_output_is_clean(self):
        _, out = self.wait_for_room("run", "-o", "jsonl", "--fn", "echo")
        self.assertEqual([row["value"].encode() for row in jsonl(out)], LINES)


if __name__ == "__main__":
    main()
