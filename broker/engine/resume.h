/* resume.h - the hash over a batch's items as it stands, so that it goes on after a restart without
 * the items: XXH3 over a stream has a state of a few hundred bytes.
 *
 * Threads: pure functions.
 */
#ifndef ENGINE_RESUME_H
#define ENGINE_RESUME_H

#include "common/buffer.h"
#include "common/types.h"

#include <xxhash.h>

#define RESUME_BYTES 360

/* Append the state to `out`: RESUME_BYTES. */
void resume_pack(const XXH3_state_t *state, struct tri_buffer *out);

/* Set a state to what was packed. False, with the state reset, when these bytes are none. */
bool resume_open(struct tri_bytes bytes, XXH3_state_t *state);

#endif
