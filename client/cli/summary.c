#include "client/cli/summary.h"

#include "common/json.h"
#include "common/proto/message.h"
#include "common/types.h"

#include <errno.h>
#include <string.h>

static double seconds(const struct tri_batch_summary *summary)
{
    return summary->elapsed_ms > 0 ? (double)summary->elapsed_ms / 1e3 : 1e-3;
}

static void models_json(const struct tri_batch_summary *summary, struct tri_buffer *out)
{
    const char *comma = "";

    tri_json_raw(out, "{");
    for (size_t i = 0; i < TRI_COUNT_OF(summary->model_counts); i++) {
        if (summary->model_counts[i] == 0)
            continue;
        tri_json_raw(out, comma);
        tri_json_string(out, tri_model_text(i));
        tri_json_raw(out, ":");
        tri_json_uint(out, summary->model_counts[i]);
        comma = ",";
    }
    tri_json_raw(out, "}");
}

void summary_json(struct tri_batch *batch, const char *reduced, struct tri_buffer *out)
{
    struct tri_batch_summary summary;

    tri_batch_summary(batch, &summary);
    tri_json_raw(out, "{\"batch\":");
    tri_json_string(out, tri_batch_uuid(batch));
    tri_json_raw(out, ",\"number\":");
    tri_json_uint(out, tri_batch_number(batch));
    tri_json_raw(out, ",\"state\":");
    tri_json_string(out, summary.state_text);
    tri_json_raw(out, ",\"reason\":");
    tri_json_string(out, summary.reason);
    tri_json_raw(out, ",\"tasks\":");
    tri_json_uint(out, summary.count);
    tri_json_raw(out, ",\"ok\":");
    tri_json_uint(out, summary.ok);
    tri_json_raw(out, ",\"failed\":");
    tri_json_uint(out, summary.failed);
    tri_json_raw(out, ",\"cancelled\":");
    tri_json_uint(out, summary.cancelled);
    tri_json_raw(out, ",\"wall_s\":");
    tri_json_double(out, (double)summary.elapsed_ms / 1e3);
    tri_json_raw(out, ",\"task_wall_s\":");
    tri_json_double(out, (double)summary.wall_ns / 1e9);
    tri_json_raw(out, ",\"cpu_s\":");
    tri_json_double(out, (double)summary.cpu_ns / 1e9);
    tri_json_raw(out, ",\"tasks_per_s\":");
    tri_json_double(out, (double)(summary.ok + summary.failed) / seconds(&summary));
    tri_json_raw(out, ",\"models\":");
    models_json(&summary, out);
    tri_json_raw(out, ",\"workers\":");
    tri_json_uint(out, summary.workers);
    tri_json_raw(out, ",\"reduce\":");
    tri_json_raw(out, reduced != NULL ? reduced : "null");
    tri_json_raw(out, "}");
}

void summary_print(struct tri_batch *batch, FILE *out)
{
    struct tri_batch_summary summary;

    tri_batch_summary(batch, &summary);
    fprintf(out, "batch %llu: %llu task%s, %llu ok", (unsigned long long)tri_batch_number(batch),
            (unsigned long long)summary.count, tri_plural(summary.count),
            (unsigned long long)summary.ok);
    if (summary.failed > 0)
        fprintf(out, ", %llu failed", (unsigned long long)summary.failed);
    if (summary.cancelled > 0)
        fprintf(out, ", %llu cancelled", (unsigned long long)summary.cancelled);
    fprintf(out, " in %.2f s (%.0f/s", (double)summary.elapsed_ms / 1e3,
            (double)(summary.ok + summary.failed) / seconds(&summary));
    for (size_t i = 0; i < TRI_COUNT_OF(summary.model_counts); i++) {
        if (summary.model_counts[i] > 0)
            fprintf(out, "; %s", tri_model_text(i));
    }
    fprintf(out, ")%s%s\n", summary.reason[0] != '\0' ? ": " : "", summary.reason);
}

static bool cannot_write(const struct summary_file *self)
{
    cli_error("cannot write --summary %s: %s", self->path, strerror(errno));
    return false;
}

bool summary_open(struct summary_file *self, const char *path)
{
    *self = (struct summary_file){ .path = path, .file = path != NULL ? fopen(path, "we") : NULL };
    return path == NULL || self->file != NULL || cannot_write(self);
}

void summary_close(struct summary_file *self)
{
    if (self->file != NULL)
        fclose(self->file);
    self->file = NULL;
}

bool summary_write(struct summary_file *self, const struct tri_buffer *summary)
{
    FILE *file = self->file;
    bool ok;

    if (file == NULL)
        return true;
    self->file = NULL;
    ok = fwrite(summary->data, 1, summary->size, file) == summary->size && fputc('\n', file) != EOF;
    if (fclose(file) != 0)
        ok = false;
    return ok || cannot_write(self);
}

int summary_exit(struct tri_batch *batch)
{
    struct tri_batch_summary summary;

    tri_batch_summary(batch, &summary);
    if (summary.state == TRI_BATCH_HALTED || summary.state == TRI_BATCH_CANCELLED)
        return CLI_HALTED;
    return summary.failed > 0 ? CLI_TASKS_FAILED : summary.cancelled > 0 ? CLI_HALTED : CLI_OK;
}
