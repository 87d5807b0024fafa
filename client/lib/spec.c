/* A batch's options as the bytes that the broker keeps: everything is checked here, because the
 * encoder asserts its limits. */
#include "client/lib/shell.h"
#include "common/buffer.h"
#include "common/proto/codec.h"
#include "common/reduce.h"

#include <stdlib.h>

#define SPEC_BYTES_MAX 1048576u
#define TEXT_BYTES_MAX 131072u

void tri_batch_options_init(struct tri_batch_options *options)
{
    *options = (struct tri_batch_options){
        .size = sizeof(*options), .range_step = 1, .model = "auto", .crash_limit = 3
    };
}

static enum tri_status check_number(const char *what,
                                    uint64_t number,
                                    uint64_t max,
                                    struct tri_error *error)
{
    if (number <= max)
        return TRI_OK;
    return tri_fail(error, TRI_INVALID, "%s is %llu: at most %llu is possible", what,
                    (unsigned long long)number, (unsigned long long)max);
}

static enum tri_status set_text(const char *what,
                                const char *text,
                                size_t max,
                                struct tri_bytes *field,
                                struct tri_error *error)
{
    *field = tri_bytes_of(text != NULL ? text : "");
    if (field->size <= max)
        return TRI_OK;
    return tri_fail(error, TRI_INVALID, "%s has %zu bytes: at most %zu are possible", what,
                    field->size, max);
}

/* A NULL-terminated array of strings as a list of TEXT records in `buffer`. */
static enum tri_status set_list(const char *what,
                                const char *const *texts,
                                size_t count_max,
                                struct tri_buffer *buffer,
                                struct tri_list *list,
                                struct tri_error *error)
{
    size_t count = 0;

    for (; texts != NULL && texts[count] != NULL; count++) {
        struct tri_rec_text record = { .text = tri_bytes_of(texts[count]) };

        if (count == count_max)
            return tri_fail(error, TRI_INVALID, "%s: more than %zu words", what, count_max);
        if (record.text.size > TEXT_BYTES_MAX)
            return tri_fail(error, TRI_INVALID, "%s: one of %zu bytes, at most %u are possible",
                            what, record.text.size, TEXT_BYTES_MAX);
        tri_record_encode(TRI_RECORD_TEXT, &record, buffer);
        if (buffer->size > SPEC_BYTES_MAX)
            return tri_fail(error, TRI_INVALID, "%s: more than %u bytes", what, SPEC_BYTES_MAX);
    }
    *list = tri_list_of(buffer, count);
    return buffer->failed ? tri_fail(error, TRI_MEMORY, "out of memory") : TRI_OK;
}

static enum tri_status set_range(const struct tri_batch_options *options,
                                 struct tri_rec_spec *spec,
                                 struct tri_error *error)
{
    __int128 last = (__int128)options->range_first
                    + (__int128)options->range_step
                          * (__int128)(options->range_count > 0 ? options->range_count - 1 : 0);

    spec->source = TRI_SOURCE_RANGE;
    spec->first = options->range_first;
    spec->step = options->range_step;
    spec->count = options->range_count;
    if (options->range_count > INT64_MAX || last > INT64_MAX || last < INT64_MIN)
        return tri_fail(error, TRI_INVALID, "the range leaves the 64-bit integers");
    return TRI_OK;
}

static enum tri_status set_numbers(const struct tri_batch_options *options,
                                   struct tri_rec_spec *spec,
                                   struct tri_error *error)
{
    const struct {
        const char *what;
        uint64_t number;
        uint64_t max;
        uint64_t *field;
    } numbers[] = {
        { "width", options->width, 1000000, &spec->width },
        { "timeout", options->timeout_ms, INT64_MAX, &spec->timeout_ms },
        { "retries", options->retries, 1000000, &spec->retries },
        { "crash limit", options->crash_limit, 1000000, &spec->crash_limit },
        { "halt", (uint64_t)options->halt, 2, &spec->halt },
        { "halt after failures", options->halt_fail_count, INT64_MAX, &spec->halt_fail_count },
        { "halt after percent", options->halt_fail_percent, 100, &spec->halt_fail_percent },
        { "priority", options->priority, 1000, &spec->priority },
        { "output limit", options->output_bytes_max, TRI_OUTPUT_BYTES_LIMIT,
          &spec->output_bytes_max },
    };
    enum tri_status status = TRI_OK;

    for (size_t i = 0; i < TRI_COUNT_OF(numbers) && status == TRI_OK; i++) {
        status = check_number(numbers[i].what, numbers[i].number, numbers[i].max, error);
        *numbers[i].field = numbers[i].number;
    }
    if (spec->output_bytes_max == 0)
        spec->output_bytes_max = TRI_SPEC_OUTPUT_BYTES_MAX;
    return status;
}

static enum tri_status set_words(const struct tri_batch_options *options,
                                 struct tri_rec_spec *spec,
                                 struct tri_error *error)
{
    enum tri_model model = TRI_MODEL_AUTO;
    enum tri_status status;

    if (options->handler == NULL || *options->handler == '\0')
        return tri_fail(error, TRI_INVALID, "a batch needs a handler");
    status = set_text("the handler's name", options->handler, 64, &spec->handler, error);
    if (status == TRI_OK)
        status = set_text("the working directory", options->workdir, 4096, &spec->workdir, error);
    if (status == TRI_OK)
        status = set_text("the plugin's path", options->plugin, 4096, &spec->plugin, error);
    if (status == TRI_OK)
        status = set_text("the reducer", options->reducer, 256, &spec->reducer, error);
    if (status == TRI_OK && spec->reducer.size != 0)
        status = tri_reducer_check(options->reducer, error);
    if (status == TRI_OK && options->model != NULL
        && tri_model_parse(options->model, &model) != TRI_OK)
        status =
            tri_fail(error, TRI_INVALID,
                     "'%s' is not a model: auto, process, thread, async or serial", options->model);
    spec->model = model;
    return status;
}

static enum tri_status fill(const struct tri_batch_options *options,
                            struct tri_rec_spec *spec,
                            struct tri_buffer lists[3],
                            struct tri_error *error)
{
    enum tri_status status = set_words(options, spec, error);

    if (status == TRI_OK)
        status = set_numbers(options, spec, error);
    spec->source = TRI_SOURCE_ITEMS;
    if (status == TRI_OK && options->range)
        status = set_range(options, spec, error);
    if (status == TRI_OK)
        status = set_list("the command", options->argv, 4096, &lists[0], &spec->argv, error);
    if (status == TRI_OK)
        status = set_list("the environment", options->env, 4096, &lists[1], &spec->env, error);
    if (status == TRI_OK)
        status = set_list("the labels", options->labels, 64, &lists[2], &spec->labels, error);
    if (options->truncate)
        spec->flags |= TRI_SPEC_TRUNCATE;
    if (options->lines)
        spec->flags |= TRI_SPEC_LINES;
    if (options->spawn)
        spec->flags |= TRI_SPEC_SPAWN;
    return status;
}

enum tri_status tri_client_spec(const struct tri_batch_options *options,
                                struct tri_buffer *spec,
                                struct tri_error *error)
{
    struct tri_rec_spec record = { 0 };
    struct tri_buffer lists[3] = { { 0 }, { 0 }, { 0 } };
    enum tri_status status = fill(options, &record, lists, error);

    if (status == TRI_OK) {
        tri_record_encode(TRI_RECORD_SPEC, &record, spec);
        if (spec->failed)
            status = tri_fail(error, TRI_MEMORY, "out of memory");
        else if (spec->size > SPEC_BYTES_MAX)
            status = tri_fail(error, TRI_INVALID,
                              "command, environment and labels have %zu bytes together: at most "
                              "%u are possible",
                              spec->size, SPEC_BYTES_MAX);
    }
    for (size_t i = 0; i < TRI_COUNT_OF(lists); i++)
        tri_buffer_deinit(&lists[i]);
    return status;
}
