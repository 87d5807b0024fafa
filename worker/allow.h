/* allow.h - what this worker's configuration lets handlers touch.
 *
 * A worker that serves a broker is told what to do by whoever may submit there. So commands, files
 * and HTTP are closed unless its configuration opens them (--allow-commands, --allow-files DIR,
 * --allow-http HOST[:PORT]); a private run opens everything. main puts the answer into the
 * environment (and removes whatever stood there) before it starts the launcher; hosts inherit it,
 * and handlers ask here before they touch anything.
 *
 *     TRIREME_ALLOW_ALL       "1": everything
 *     TRIREME_ALLOW_COMMANDS  "1": commands
 *     TRIREME_ALLOW_FILES     directories, one per line
 *     TRIREME_ALLOW_HTTP      HOST or HOST:PORT, one per line ("[::1]:80" for IPv6)
 *
 * Threads: any, as long as nobody changes the environment (nobody does after main has started).
 * Memory:  nothing is kept.
 * Errors:  TRI_DENIED with a text that names the option which would allow it; TRI_NOTFOUND when
 *          the file does not exist; TRI_SYSTEM, TRI_INVALID.
 * Limits:  a file that is looked at here and opened later can be exchanged in between by whoever
 *          may write to the directory: allow directories that only trusted users write to, and
 *          open the resolved path.
 */
#ifndef ALLOW_H
#define ALLOW_H

#include "common/types.h"

#include <limits.h>

/* May handlers run commands? */
enum tri_status allow_commands(struct tri_error *error);

/* May handlers open `path`? Symbolic links are followed first, those of every directory on the way
 * and the file's own; a file that does not exist yet is judged by its directory. `resolved`
 * (PATH_MAX bytes) gets the path to open. */
enum tri_status allow_file(const char *path, char resolved[PATH_MAX], struct tri_error *error);

/* May handlers speak HTTP to `host` (a name or an address without brackets) at `port`? An allowed
 * HOST without a port stands for every port. Names are compared without case, never looked up.
 * Ask again for the target of each redirect. */
enum tri_status allow_http(const char *host, uint16_t port, struct tri_error *error);

/* Is anything at all allowed of that kind? For leaving a handler out of what a worker offers. */
bool allow_any_file(void);
bool allow_any_http(void);

#endif
