/* result_json.h - one task's result as a JSON object: a line of jsonl, without the newline. */
#ifndef RESULT_JSON_H
#define RESULT_JSON_H

#include "common/buffer.h"
#include "trireme/client.h"

#include <string.h>

void result_json(struct tri_buffer *out, const struct tri_task_result *result);

static inline struct tri_bytes tri_bytes_of_text(const char *text)
{
    return (struct tri_bytes){ (const uint8_t *)text, strlen(text) };
}

#endif
