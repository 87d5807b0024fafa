/* registry.h - the handlers this process can run, by name.
 *
 * Handlers get in three ways: main adds the built-in table, a shared object registers its own while
 * it is loaded (TRI_HANDLER), tests add theirs. The first of a name stays; a second one of that
 * name, and one with a wrong ABI or a bad name, is refused and remembered as the load's error.
 *
 * Time:    lookups O(log n).
 * Threads: filled before any thread starts; read by all afterwards.
 * Memory:  borrows the handlers, which are static data of the program or of a loaded object
 *          (objects are never unloaded).
 * Errors:  TRI_CONFLICT for a second handler of a name, TRI_INVALID for one that is malformed,
 *          TRI_UNSUPPORTED for another ABI, TRI_SYSTEM when an object cannot be loaded.
 */
#ifndef REGISTRY_H
#define REGISTRY_H

#include "common/types.h"
#include "trireme/handler.h"

/* Make `count` handlers of the program itself known. A mistake in them is our own (asserted). */
void registry_add_builtin(const struct tri_handler *const *handlers, size_t count);

/* Load a shared object; its TRI_HANDLERs register themselves. Loading it again does nothing. */
enum tri_status registry_load(const char *path, struct tri_error *error);

/* The handler of that name, or NULL. */
const struct tri_handler *registry_find(const char *name);
const struct tri_handler *registry_find_bytes(struct tri_bytes name);

/* All of them, sorted by name: i < registry_count(). */
size_t registry_count(void);
const struct tri_handler *registry_at(size_t i);

#endif
