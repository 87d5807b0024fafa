"""Machines: network namespaces on a bridge that lives in a namespace of its own. Nothing of the
real network is touched and no machine has a way out. Needs root."""

import os
import subprocess

NET = "10.77.0"


def ip(*args):
    subprocess.run(["ip", *map(str, args)], check=True, capture_output=True)


class Hosts:
    """Machines 1 to count, each with an address and a cable that can be pulled."""

    def __init__(self, count):
        self.name, self.made = f"tri{os.getpid()}", []
        try:
            self.bridge = self.namespace("br")
            ip("-n", self.bridge, "link", "add", "br0", "type", "bridge")
            ip("-n", self.bridge, "link", "set", "br0", "up")
            for number in range(1, count + 1):
                host = self.namespace(f"h{number}")
                ip("link", "add", "eth0", "netns", host, "type", "veth",
                   "peer", "name", f"p{number}", "netns", self.bridge)
                ip("-n", self.bridge, "link", "set", f"p{number}", "master", "br0", "up")
                ip("-n", host, "link", "set", "lo", "up")
                ip("-n", host, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
                ip("-n", host, "link", "set", "eth0", "up")
        except BaseException:
            self.close()
            raise

    def namespace(self, suffix):
        name = f"{self.name}-{suffix}"
        ip("netns", "add", name)
        self.made.append(name)
        return name

    @staticmethod
    def address(number):
        return f"{NET}.{number}"

    def on(self, number):
        """What to put before a command that runs there; the pid stays the command's."""
        return ("ip", "netns", "exec", f"{self.name}-h{number}")

    def cut(self, number):
        ip("-n", self.bridge, "link", "set", f"p{number}", "down")

    def heal(self, number):
        ip("-n", self.bridge, "link", "set", f"p{number}", "up")

    def mute(self, number, to):
        """What `number` says to `to` is lost, silently; what `to` says still arrives."""
        ip("-n", f"{self.name}-h{number}", "neigh", "replace", self.address(to),
           "lladdr", "02:00:00:00:00:fe", "dev", "eth0", "nud", "permanent")

    def unmute(self, number, to):
        ip("-n", f"{self.name}-h{number}", "neigh", "del", self.address(to), "dev", "eth0")

    def close(self):
        for name in self.made:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        self.made = []
