#!/bin/sh
# No planted bug ships: neither a symbol nor a text of one is in the first files, and both are in
# those that are compiled with them, or this test would see nothing.
# Usage: planted.sh SHIPPED... -- PLANTED...
set -eu
traces() { { nm -a "$1" 2>/dev/null; strings -a "$1"; } | grep -ciE 'planted_' || :; }
while [ "$1" != -- ]; do
    [ "$(traces "$1")" = 0 ] || { echo "$1 holds traces of planted bugs" >&2; exit 1; }
    shift
done
shift
for file; do
    [ "$(traces "$file")" != 0 ] || { echo "$file holds no planted bugs" >&2; exit 1; }
done
