/* main_plugins.h - what shared objects offer, asked without loading them here: the session process
 * runs no foreign code. A child of the same program loads each one and says what it found.
 *
 * Threads: before the process has any other.
 * Memory:  the catalog owns its texts.
 * Errors:  TRI_DENIED: a directory or an object that others may write to; TRI_INVALID: an object
 *          that cannot be loaded or names a handler twice; TRI_SYSTEM.
 */
#ifndef MAIN_PLUGINS_H
#define MAIN_PLUGINS_H

#include "worker/main_options.h"
#include "worker/session.h"

struct plugin_catalog {
    struct session_handler *handlers; /* built-in ones first, then those of plugins */
    size_t count;
    size_t capacity;
};

/* Everything that this worker may offer under its permissions: the registry's handlers (registry.h)
 * and those of the plugins of `options`. */
enum tri_status plugins_open(struct plugin_catalog *self,
                             const struct options *options,
                             struct tri_error *error);
void plugins_close(struct plugin_catalog *self);

/* Be the child when the arguments are those of one (--describe FILE): never returns then. */
void plugins_take_role(int argc, char **argv);

#endif
