/* statedir.h - where a daemon keeps what outlives it when nobody says where.
 *
 * One of these, and never another one because the first cannot be used: a broker that looks
 * elsewhere finds none of its batches.
 *     $STATE_DIRECTORY         its first entry, an absolute path; a service manager sets it
 *     /var/lib/trireme         root
 *     $XDG_STATE_HOME/trireme  when that is absolute
 *     $HOME/.local/state/trireme
 *
 * Threads: call while nobody changes the environment or the umask.
 * Errors:  TRI_STORE, or TRI_INVALID for a $STATE_DIRECTORY that is none, with a text that says
 *          what to do.
 */
#ifndef BROKER_STATEDIR_H
#define BROKER_STATEDIR_H

#include "common/types.h"
#include "trireme/status.h"

#include <limits.h>

/* The path of `name` in the state directory, which exists then; what was missing of it was made
 * with mode 0700. */
enum tri_status statedir_place(const char *name, char path[PATH_MAX], struct tri_error *error);

#endif
