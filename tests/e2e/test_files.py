"""Real input: every file of /usr/share/doc, hashed and counted, against coreutils."""

import os
import re
import subprocess
import sys

from trireme import SANITIZED, Case, json, main, run

ROOT = os.environ.get("TRIREME_DOC", "/usr/share/doc")
MODELS = ("process", "thread", "async", "auto")


def files():
    found = subprocess.run(["find", ROOT, "-type", "f"], capture_output=True, check=True).stdout
    lines = found.splitlines(keepends=True)
    # Sanitizers make each file dear: a sample of them, spread evenly.
    return b"".join(lines[::10] if SANITIZED and len(lines) > 2000 else lines)


class Files(Case):
    def test_sha256_of_every_file_in_input_order_under_every_model(self):
        names = files()
        self.assertGreater(names.count(b"\n"), 50)
        want = subprocess.run(["xargs", "-d", "\n", "sha256sum", "-b"], input=names,
                              capture_output=True, check=True).stdout
        want = b"".join(line.lstrip(b"\\")[:64] + b"\n" for line in want.splitlines())
        for model in MODELS:
            with self.subTest(model=model):
                done = run("run", "--fn", "file.sha256", "--model", model, stdin=names)
                self.assertRan(done)
                self.assertEqual(done.stdout, want)

    def test_words_tally_equals_a_pipeline_of_coreutils(self):
        names = files()
        # A word never spans two files: each file ends its own.
        pipeline = ("while IFS= read -r f; do cat \"$f\"; echo; done"
                    " | LC_ALL=C tr -cs 'A-Za-z' '\\n' | LC_ALL=C tr A-Z a-z"
                    " | LC_ALL=C sort | LC_ALL=C uniq -c")
        counted = subprocess.run(["sh", "-c", pipeline], input=names, capture_output=True,
                                 check=True).stdout
        want = {}
        for line in counted.splitlines():
            count, _, word = line.strip().partition(b" ")
            if word:
                want[word.decode()] = int(count)
        for model in MODELS:
            with self.subTest(model=model):
                done = run("run", "--fn", "words", "--reduce", "tally", "--model", model,
                           stdin=names)
                self.assertRan(done)
                got = json.loads(done.stdout)
                self.assertEqual(len(got), len(want))
                self.assertEqual(got, want)

    def test_top_words(self):
        names = files()
        tally = json.loads(run("run", "--fn", "words", "--reduce", "tally", stdin=names).stdout)
        top = run("run", "--fn", "words", "--reduce", "top:5", stdin=names)
        self.assertRan(top)
        want = sorted(tally.items(), key=lambda item: (-item[1], item[0].encode()))[:5]
        self.assertEqual(re.findall(rb'"([a-z]+)"', top.stdout), [w.encode() for w, _ in want])

    def test_a_missing_file_fails_its_task_only(self):
        done = run("run", "--fn", "file.lines", ":::", "/etc/passwd", "/nonexistent")
        self.assertRan(done, 1)
        with open("/etc/passwd", "rb") as f:
            self.assertEqual(done.stdout, b"%d\n" % f.read().count(b"\n"))
        self.assertIn(b"/nonexistent", done.stderr)


if __name__ == "__main__":
    main()
