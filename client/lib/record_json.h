/* record_json.h - a wire record as a JSON object, field by field from its table, so that no field
 * can be forgotten. Numbers that stand for words are written as the words, identities as UUIDs,
 * ranges as [[first,count],...]. Private.
 *
 * Time: O(bytes).   Threads: pure.   Errors: only memory, as out->failed.
 */
#ifndef TRI_CLIENT_RECORD_JSON_H
#define TRI_CLIENT_RECORD_JSON_H

#include "common/buffer.h"
#include "common/proto/message.h"

/* {"field":value,...} */
void tri_record_json(enum tri_record_type type, const void *record, struct tri_buffer *out);

/* The elements of a list, comma-separated, without brackets. `*any` says whether something was
 * written before, and is set. */
void tri_list_json(struct tri_list list,
                   enum tri_record_type type,
                   bool *any,
                   struct tri_buffer *out);

#endif
