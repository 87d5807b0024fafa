"""Disks with faults: one whose power can be cut, one that others fill and that grows; and a store
that is made not to sync. The disks need root."""

import contextlib
import ctypes
import errno
import fcntl
import functools
import os
import subprocess
import tempfile
import time

EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
NO_LOG_FLUSH = (2).to_bytes(4, "little")


def run(*command):
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


@functools.cache
def mounts_of_our_own():
    """From now on nobody else sees what this process mounts: a copy in another name space would keep
    a file system alive, with its power cut. It goes with the process. Before any thread is made."""
    new_mounts = 0x00020000  # CLONE_NEWNS
    if ctypes.CDLL(None, use_errno=True).unshare(new_mounts) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    run("mount", "--make-rprivate", "/")


def unmount(folder):
    """A process that was just killed may hold it for a moment."""
    for _ in range(100):
        if subprocess.run(["umount", folder], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.05)
    run("umount", folder)


class Cuttable:
    """ext4 on a loop device. cut() loses at once everything that was not synced, as a power cut
    does; after power_off(), power_on() mounts what is left."""

    def __enter__(self):
        mounts_of_our_own()
        self.directory = tempfile.TemporaryDirectory(prefix="trireme-disk-")
        self.image = os.path.join(self.directory.name, "image")
        self.folder = os.path.join(self.directory.name, "mnt")
        os.mkdir(self.folder)
        with open(self.image, "wb") as f:
            f.truncate(128 << 20)
        run("mkfs.ext4", "-q", self.image)
        self.power_on()
        return self

    def power_on(self):
        run("mount", "-o", "loop", self.image, self.folder)
        self.mounted = True

    def cut(self):
        fd = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH)
        finally:
            os.close(fd)

    def power_off(self):
        unmount(self.folder)
        self.mounted = False

    def __exit__(self, *_):
        if self.mounted:
            self.power_off()
        self.directory.cleanup()


class Growing:
    """A small file system in memory that others fill, and that is made larger while it is in use."""

    SIZE = 4 << 20

    def __enter__(self):
        mounts_of_our_own()
        self.directory = tempfile.TemporaryDirectory(prefix="trireme-disk-")
        self.folder, self.size = self.directory.name, self.SIZE
        self.other = os.path.join(self.folder, "other")
        run("mount", "-t", "tmpfs", "-o", f"size={self.size}", "tmpfs", self.folder)
        return self

    def resize(self, size):
        run("mount", "-o", f"remount,size={size}", self.folder)
        self.size = size

    def free(self):
        info = os.statvfs(self.folder)
        return info.f_bavail * info.f_frsize

    def fill(self, left):
        """Another program takes all but `left` bytes, while others may be taking them too."""
        with open(self.other, "wb") as f:
            while (free := self.free()) > left:
                try:
                    os.posix_fallocate(f.fileno(), 0, os.fstat(f.fileno()).st_size + free - left)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def grow(self):
        self.resize(self.size + self.SIZE)

    def shrink(self):
        """Back to the first size, or as far as what is in it lets us; the other file goes."""
        os.unlink(self.other)
        info = os.statvfs(self.folder)
        used = (info.f_blocks - info.f_bavail) * info.f_frsize
        self.resize(max(self.SIZE, used + self.SIZE // 2))

    def __exit__(self, *_):
        unmount(self.folder)
        self.directory.cleanup()


LAZY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
int sqlite3_exec(void *db, const char *sql, void *each, void *context, char **error)
{
    int (*real)(void *, const char *, void *, void *, char **) = dlsym(RTLD_NEXT, "sqlite3_exec");
    if (strcmp(sql, "PRAGMA synchronous = FULL") == 0)
        sql = "PRAGMA synchronous = NORMAL";
    return real(db, sql, each, context, error);
}
"""


@contextlib.contextmanager
def unsynced():
    """The environment of a broker whose store does not sync its commits (synchronous=NORMAL)."""
    with tempfile.TemporaryDirectory(prefix="trireme-lazy-") as folder:
        library = os.path.join(folder, "lazy.so")
        subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", library],
                       input=LAZY.encode(), check=True)
        yield {"LD_PRELOAD": library}
