"""The first lines of the README: a range or a stream of numbers, folded."""

from trireme import Case, Cluster, json, main, run


class Sum(Case):
    def test_a_million_squares_from_stdin(self):
        numbers = "\n".join(map(str, range(1, 1_000_001))) + "\n"
        done = run("run", "--fn", "square", "--reduce", "sum", stdin=numbers)
        self.assertRan(done)
        self.assertEqual(done.stdout, b"333333833333500000\n")

    def test_ten_million_echoes_of_a_range(self):
        done = run("run", "--range", "1-10_000_000", "--fn", "echo", "--reduce", "sum")
        self.assertRan(done)
        self.assertEqual(done.stdout, b"50000005000000\n")

    def test_every_model_gives_every_value_in_order(self):
        want = "".join(f"{n * n}\n" for n in range(1, 3001)).encode()
        for model in ("serial", "process", "thread", "async", "auto"):
            with self.subTest(model=model):
                done = run("run", "--range", "1-3000", "--fn", "square", "--model", model)
                self.assertRan(done)
                self.assertEqual(done.stdout, want)

    def test_on_daemons_over_tcp(self):
        cluster = self.cluster("tcp")
        cluster.worker()
        cluster.worker()
        done = cluster.run("run", "--range", "1-100_000", "--fn", "square", "--reduce", "sum",
                           "--output", "json")
        self.assertRan(done)
        summary = json.loads(done.stdout)["summary"]
        self.assertEqual(summary["reduce"], 333338333350000)
        self.assertEqual((summary["tasks"], summary["ok"], summary["failed"]), (100000, 100000, 0))
        self.assertEqual(sum(summary["models"].values()), 100000)

    def test_the_summary_names_the_model_of_what_was_folded(self):
        for model in ("serial", "process", "thread", "async"):
            with self.subTest(model=model):
                done = run("run", "--range", "1-5000", "--fn", "square", "--reduce", "sum",
                           "--model", model, "--output", "json")
                self.assertRan(done)
                self.assertEqual(json.loads(done.stdout)["summary"]["models"], {model: 5000})
                self.assertIn(f"; {model})", done.stderr.decode())

    def test_reducers(self):
        for op, want in [("count", "100"), ("sum", "5050"), ("min", "1"), ("max", "100"),
                         ("mean", "50.5"), ("concat", "".join(map(str, range(1, 101))))]:
            with self.subTest(op=op):
                done = run("run", "--range", "1-100", "--fn", "echo", "--reduce", op)
                self.assertRan(done)
                self.assertEqual(done.stdout.decode().strip(), want)


if __name__ == "__main__":
    main()
