#!/bin/sh
# Rules are pure: a state machine may call memory functions, format text and use the pure parts of
# common/ and xxhash, and nothing else. Usage: purity.sh ARCHIVE...: the first one is judged, what the others
# define is allowed to it.
set -eu
libc='^(calloc|malloc|realloc|free|abort|memcpy|memset|memmove|memcmp|memchr|strlen|strcmp|snprintf|vsnprintf|sigabbrev_np|XXH(3|128)_[A-Za-z0-9_]+|__(v?snprintf|memcpy|memmove|memset)_chk|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|(__asan|__ubsan|__tsan|__sanitizer|__gcov|llvm_gcov)_.*|__msan.*|__start___sancov.*|__stop___sancov.*)$'
judged=$1
defined=$(nm --defined-only "$@" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u)
bad=$(nm -u "$judged" | awk '$1 == "U" { print $2 }' | sort -u | grep -Ev "$libc" \
    | { printf '%s\n' "$defined" > "${TMPDIR:-/tmp}/purity.$$"; grep -Fxv -f "${TMPDIR:-/tmp}/purity.$$" || true; })
rm -f "${TMPDIR:-/tmp}/purity.$$"
[ -z "$bad" ] || { echo "$judged imports what is not pure:" $bad >&2; exit 1; }
