#include "client/cli/result_json.h"

#include "common/json.h"
#include "common/types.h"
#include "common/value.h"

static void json_value(struct tri_buffer *out, const struct tri_task_result *result)
{
    size_t start = out->size;

    if (result->packed.size == 0) {
        tri_json_raw(out, "null");
    } else if (tri_value_to_json(&result->value, out, NULL) != TRI_OK) {
        out->size = start;
        tri_json_raw(out, "null");
    }
}

void result_json(struct tri_buffer *out, const struct tri_task_result *result)
{
    tri_json_raw(out, "{\"index\":");
    tri_json_uint(out, result->index);
    tri_json_raw(out, ",\"status\":\"");
    tri_json_raw(out, result->outcome_text);
    tri_json_raw(out, "\",\"value\":");
    json_value(out, result);
    tri_json_raw(out, ",\"error\":");
    if (result->outcome == TRI_OUTCOME_OK)
        tri_json_raw(out, "null");
    else
        tri_json_bytes(out, result->error);
    tri_json_raw(out, ",\"attempts\":");
    tri_json_uint(out, result->attempts);
    tri_json_raw(out, ",\"model\":\"");
    tri_json_raw(out, result->model);
    tri_json_raw(out, "\",\"worker\":");
    tri_json_bytes(out, result->worker);
    tri_json_raw(out, ",\"wall_us\":");
    tri_json_uint(out, result->wall_us);
    tri_json_raw(out, ",\"cpu_us\":");
    tri_json_uint(out, result->cpu_us);
    tri_json_raw(out, ",\"sampled\":");
    tri_json_bool(out, result->sampled);
    tri_json_raw(out, "}");
}
