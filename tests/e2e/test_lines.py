"""Input lines are bytes: what goes in through echo comes out unchanged and in order."""

import os
import tempfile

from trireme import Case, jsonl, main, run


class Lines(Case):
    def echo(self, data, *args):
        done = run("run", "--fn", "echo", *args, stdin=data)
        self.assertRan(done)
        return done.stdout

    def test_tabs_quotes_and_backslashes(self):
        data = b"a\tb\n'single' \"double\"\n\\back\\slash\n$HOME `x` *\n"
        self.assertEqual(self.echo(data), data)

    def test_crlf_is_kept(self):
        self.assertEqual(self.echo(b"one\r\ntwo\r\n"), b"one\r\ntwo\r\n")

    def test_a_missing_last_newline_is_fine(self):
        self.assertEqual(self.echo(b"one\ntwo"), b"one\ntwo\n")

    def test_empty_lines_are_tasks(self):
        self.assertEqual(self.echo(b"\n\na\n\n"), b"\n\na\n\n")

    def test_numbers_stay_text_for_a_handler_that_takes_anything(self):
        self.assertEqual(self.echo(b"007\n1e3\n-0\n"), b"007\n1e3\n-0\n")

    def test_invalid_utf8(self):
        self.assertEqual(self.echo(b"\xff\xfe\n\xc3\n"), b"\xff\xfe\n\xc3\n")

    def test_invalid_utf8_in_jsonl_is_base64(self):
        rows = jsonl(self.echo(b"\xff\xfe\nok\n", "-o", "jsonl"))
        self.assertEqual([r["value"] for r in rows], [{"base64": "//4="}, "ok"])

    def test_nul_separated(self):
        self.assertEqual(self.echo(b"a\nb\0c\0", "-0"), b"a\nb\nc\n")

    def test_nul_inside_a_line(self):
        self.assertEqual(self.echo(b"a\0b\n"), b"a\0b\n")

    def test_a_line_of_one_mebibyte(self):
        line = os.urandom(1 << 19).hex().encode() + b"\n"
        self.assertEqual(self.echo(line + b"x\n"), line + b"x\n")

    def test_no_lines_at_all(self):
        done = run("run", "--fn", "square", "--reduce", "sum", stdin=b"")
        self.assertRan(done)
        self.assertEqual(done.stdout, b"0\n")
        self.assertEqual(self.echo(b""), b"")

    def test_each_line_of_a_file_and_values_after_colons(self):
        with tempfile.NamedTemporaryFile() as f:
            f.write(b"3\n4\n")
            f.flush()
            done = run("run", "--fn", "square", "--each-line", f.name, stdin=None)
            self.assertEqual(done.stdout, b"9\n16\n")
        done = run("run", "--fn", "square", ":::", "5", "6", stdin=None)
        self.assertEqual(done.stdout, b"25\n36\n")

    def test_json_lines(self):
        with tempfile.NamedTemporaryFile() as f:
            f.write(b'7\n"text"\n[1,{"a":null}]\n\n1.5\n')
            f.flush()
            done = run("run", "--fn", "echo", "--from-json", f.name, "-o", "jsonl", stdin=None)
            self.assertRan(done)
            self.assertEqual([r["value"] for r in jsonl(done.stdout)],
                             [7, "text", [1, {"a": None}], 1.5])


if __name__ == "__main__":
    main()
