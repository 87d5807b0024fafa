"""Output of every size: what a broker cannot take fails its own task and nothing else."""

import json

from trireme import Case, jsonl, main, run

MIB = 1 << 20


class Private(Case):
    def test_output_of_the_largest_cap_there_is(self):
        size = 64 * MIB
        for options, status in ((["--output-max", "64M"], 0), ([], 1)):
            with self.subTest(options=options):
                done = run("run", *options, "--", "head", "-c", "{}", "/dev/zero", ":::", size)
                self.assertRan(done, status)
                self.assertEqual(done.stdout, b"\0" * (16 * MIB if status else size))
        done = run("run", "--output-max", "64M", "--", "sh", "-c", "head -c $0 /dev/zero; exit 3",
                   ":::", size)
        self.assertRan(done, 1)
        self.assertIn(b"exit status 3", done.stderr)
        self.assertRan(run("run", "--output-max", "65M", "--fn", "echo", ":::", "1"), 2)


class Caps(Case):
    def setUp(self):
        super().setUp()
        self.c = self.cluster("ipc", broker_args=["--max-message", "4M", "--max-item", "1M"])
        self.c.worker()

    def test_output_over_what_a_message_can_carry_is_too_large(self):
        sizes = [10, 2 * MIB, 2 * MIB + 1, 9 * MIB, 10]
        for model in ("process", "thread", "async"):
            with self.subTest(model=model):
                done = self.c.run("run", "-m", model, "-o", "jsonl", "--", "sh", "-c",
                                  "head -c $0 /dev/zero | tr '\\0' x", ":::", *sizes)
                self.assertRan(done, 1)
                rows = jsonl(done.stdout)
                self.assertEqual([row["status"] for row in rows],
                                 ["ok", "ok", "too-large", "too-large", "ok"])
                self.assertEqual([len(row["value"][1]) for row in rows],
                                 [min(size, 2 * MIB) for size in sizes])
                self.assertEqual(rows[2]["error"], f"its output is over the cap of {2 * MIB} bytes")

    def test_output_over_what_a_message_can_carry_is_cut_when_asked_for(self):
        done = self.c.run("run", "--truncate", "--", "sh", "-c",
                          "head -c $0 /dev/zero | tr '\\0' x", ":::", 9 * MIB)
        self.assertRan(done)
        self.assertEqual(done.stdout, b"x" * (2 * MIB))

    def test_many_results_at_once_are_as_many_messages_as_they_need(self):
        done = self.c.run("run", "--fn", "echo", "--range", "1-1_000_000", "-m", "thread")
        self.assertRan(done)
        self.assertEqual(done.stdout, b"".join(b"%d\n" % n for n in range(1, 1_000_001)))

    def test_values_that_are_folded_may_be_large_together(self):
        lines = [b"%c" % (97 + n) * (MIB // 2) for n in range(20)]
        done = self.c.run("run", "--fn", "echo", "--reduce", "concat",
                          stdin=b"\n".join(lines))
        self.assertRan(done)
        self.assertEqual(done.stdout, b"".join(lines) + b"\n")
        done = self.c.run("run", "--fn", "echo", "--reduce", "tally", stdin=b"\n".join(lines))
        self.assertRan(done)
        self.assertEqual(json.loads(done.stdout), {line.decode(): 1 for line in lines})

    def test_integers_that_are_told_apart_are_many_together(self):
        done = self.c.run("run", "--fn", "echo", "--range", "1-1_000_000", "--reduce", "tally")
        self.assertRan(done)
        self.assertEqual(len(json.loads(done.stdout)), 1_000_000)


if __name__ == "__main__":
    main()
