"""http.get under every model against a server of our own, and what a daemon's worker allows."""

import hashlib
import http.server
import json
import threading

from trireme import Case, jsonl, main, run


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"" if self.path == "/empty" else b"page " + self.path.encode()
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Http(Case):
    def setUp(self):
        super().setUp()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def tearDown(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        super().tearDown()

    def test_status_bytes_and_digest_of_each_page_in_order(self):
        paths = [f"/{i}" for i in range(60)] + ["/missing", "/empty"]
        for model in ("process", "thread", "async"):
            with self.subTest(model=model):
                done = run("run", "--fn", "http.get", "--model", model, "-o", "jsonl",
                           stdin="".join(f"{self.url}{p}\n" for p in paths))
                self.assertRan(done)
                for path, row in zip(paths, jsonl(done.stdout), strict=True):
                    body = b"" if path == "/empty" else b"page " + path.encode()
                    value = row["value"]
                    self.assertEqual(value["status"], 404 if path == "/missing" else 200)
                    self.assertEqual(value["bytes"], len(body))
                    self.assertEqual(value["sha256"], hashlib.sha256(body).hexdigest())
                    self.assertGreater(value["ms"], 0)

    def test_the_body_on_request(self):
        done = run("run", "--fn", "http.get", "--from-json", "-",
                   stdin=json.dumps({"url": self.url + "/x", "body": True}))
        self.assertRan(done)
        self.assertEqual(json.loads(done.stdout)["body"], "page /x")

    def test_nobody_there_and_no_url_fail_their_tasks(self):
        done = run("run", "--fn", "http.get", ":::", "http://127.0.0.1:1/", "not a url",
                   self.url + "/ok", stdin=None)
        self.assertRan(done, 1)
        self.assertEqual(len(done.stdout.splitlines()), 1)

    def test_a_daemons_worker_asks_its_configuration(self):
        cluster = self.cluster("ipc")
        cluster.worker("--allow-http", "example.invalid")
        done = cluster.run("run", "--fn", "http.get", ":::", self.url + "/x", stdin=None)
        self.assertRan(done, 1)
        self.assertIn(b"--allow-http", done.stderr)

    def test_a_daemons_worker_without_http_does_not_offer_it(self):
        cluster = self.cluster("ipc")
        cluster.worker()
        done = cluster.run("run", "--fn", "http.get", ":::", self.url + "/x", stdin=None)
        self.assertRan(done, 2)
        self.assertIn(b"http.get", done.stderr)


if __name__ == "__main__":
    main()
