/* json.h - writing JSON straight into a buffer, without a tree: one line per task is the hot path.
 *
 * Threads: pure.   Errors: only memory, as out->failed.
 */
#ifndef TRI_JSON_H
#define TRI_JSON_H

#include "common/buffer.h"
#include "common/types.h"

/* True when the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool tri_utf8_is_valid(struct tri_bytes bytes);

/* The bytes as a quoted, escaped JSON string, or {"base64":"..."} when they are not UTF-8. */
void tri_json_bytes(struct tri_buffer *out, struct tri_bytes bytes);

/* The same for a C string. */
void tri_json_string(struct tri_buffer *out, const char *text);

/* A number. A double always has a '.' or an exponent and reads back to the same bits; NaN and the
 * infinities become the strings "NaN", "Infinity", "-Infinity". */
void tri_json_int(struct tri_buffer *out, int64_t integer);
void tri_json_uint(struct tri_buffer *out, uint64_t integer);
void tri_json_int128(struct tri_buffer *out, __int128 integer);
void tri_json_double(struct tri_buffer *out, double number);

/* true, false; and bytes as they are (punctuation, ready-made JSON). */
void tri_json_bool(struct tri_buffer *out, bool boolean);
void tri_json_raw(struct tri_buffer *out, const char *text);

/* Standard base64 with padding, without quotes. */
void tri_base64_encode(struct tri_buffer *out, struct tri_bytes bytes);

/* Decode strictly: TRI_INVALID on any character or length that the encoder does not write. */
enum tri_status tri_base64_decode(struct tri_bytes text,
                                  struct tri_buffer *out,
                                  struct tri_error *error);

#endif
