/* command.c - run a command for each task. The batch's argv is a template, as in GNU parallel:
 *
 *     {}    the value                 {.}   the value without its extension
 *     {#}   the task's index + 1      {/}   its last path component
 *                                     {//}  its directory
 *
 * With no placeholder anywhere, the value is the last argument. Nothing passes through a shell.
 * The result is [exit code, stdout, stderr, truncated]; an exit code other than 0, or a signal,
 * fails the task and keeps that value. */
#include "common/proto/codec.h"
#include "common/value.h"
#include "worker/allow.h"
#include "worker/handlers/builtin.h"
#include "worker/task.h"

#include <stdio.h>
#include <string.h>

static void append(struct tri_buffer *out, struct tri_bytes bytes)
{
    tri_buffer_append(out, bytes.data, bytes.size);
}

/* Offsets into a path: where its last component starts, and where its extension starts. */
static size_t base_of(struct tri_bytes path)
{
    size_t end = path.size;

    while (end > 0 && path.data[end - 1] != '/')
        end--;
    return end;
}

static size_t extension_of(struct tri_bytes path)
{
    size_t base = base_of(path);

    for (size_t i = path.size; i > base + 1; i--) {
        if (path.data[i - 1] == '.')
            return i - 1;
    }
    return path.size;
}

static void append_directory(struct tri_buffer *out, struct tri_bytes path)
{
    size_t base = base_of(path);

    if (base == 0)
        tri_buffer_append(out, ".", 1);
    else
        tri_buffer_append(out, path.data, base > 1 ? base - 1 : 1);
}

enum placeholder { NONE, VALUE, NUMBER, STEM, BASE, DIRECTORY };

/* The placeholder at the start of `text`, and its length. */
static enum placeholder placeholder_at(struct tri_bytes text, size_t *length)
{
    static const struct {
        const char *text;
        enum placeholder is;
    } all[] = {
        { "{}", VALUE }, { "{#}", NUMBER }, { "{.}", STEM }, { "{//}", DIRECTORY }, { "{/}", BASE }
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        *length = strlen(all[i].text);
        if (text.size >= *length && memcmp(text.data, all[i].text, *length) == 0)
            return all[i].is;
    }
    *length = 1;
    return NONE;
}

/* Append one argument of the template with its placeholders replaced; true if there was one. */
static bool expand(struct tri_buffer *out,
                   struct tri_bytes text,
                   struct tri_bytes value,
                   uint64_t index)
{
    bool any = false;
    char number[32];

    for (size_t i = 0; i < text.size;) {
        struct tri_bytes rest = { text.data + i, text.size - i };
        size_t base = base_of(value);
        size_t length;
        enum placeholder is = placeholder_at(rest, &length);

        any |= is != NONE;
        i += length;
        switch (is) {
        case NONE:
            tri_buffer_append(out, rest.data, 1);
            break;
        case VALUE:
            append(out, value);
            break;
        case NUMBER:
            snprintf(number, sizeof(number), "%llu", (unsigned long long)index + 1);
            tri_buffer_append(out, number, strlen(number));
            break;
        case STEM:
            tri_buffer_append(out, value.data, extension_of(value));
            break;
        case BASE:
            tri_buffer_append(out, value.data + base, value.size - base);
            break;
        case DIRECTORY:
            append_directory(out, value);
            break;
        }
    }
    return any;
}

/* A NULL-terminated vector in task memory over texts that stand NUL-terminated in `texts`. */
static const char **vector(struct tri_task *task, const struct tri_buffer *texts, size_t count)
{
    const char **argv = tri_task_alloc(task, (count + 1) * sizeof(*argv));
    char *copy = tri_task_alloc(task, texts->size + 1);

    if (argv == NULL || copy == NULL || texts->failed)
        return NULL;
    if (texts->size > 0)
        memcpy(copy, texts->data, texts->size);
    for (size_t i = 0; i < count; i++) {
        argv[i] = copy;
        copy += strlen(copy) + 1;
    }
    argv[count] = NULL;
    return argv;
}

static const char **build_argv(struct tri_task *task, struct tri_list list, struct tri_bytes value)
{
    struct tri_rec_text text;
    struct tri_buffer texts;
    const char **argv;
    size_t count = 0;
    bool any = false;

    tri_buffer_init(&texts);
    while (tri_list_next(&list, TRI_RECORD_TEXT, &text)) {
        any |= expand(&texts, text.text, value, tri_task_index(task));
        tri_buffer_append(&texts, "", 1);
        count++;
    }
    if (!any) {
        append(&texts, value);
        tri_buffer_append(&texts, "", 1);
        count++;
    }
    argv = vector(task, &texts, count);
    tri_buffer_deinit(&texts);
    return argv;
}

static const char **build_env(struct tri_task *task, struct tri_list list)
{
    struct tri_rec_text text;
    struct tri_buffer texts;
    const char **env;
    size_t count = 0;

    tri_buffer_init(&texts);
    while (tri_list_next(&list, TRI_RECORD_TEXT, &text)) {
        append(&texts, text.text);
        tri_buffer_append(&texts, "", 1);
        count++;
    }
    env = vector(task, &texts, count);
    tri_buffer_deinit(&texts);
    return env;
}

/* The cap is on both streams together: what stderr has beyond its share is cut. */
static void keep_within(struct tri_command_result *ran, uint64_t bytes_max)
{
    uint64_t room = bytes_max > ran->output.size ? bytes_max - ran->output.size : 0;

    if (ran->error.size <= room)
        return;
    ran->error.size = room;
    ran->truncated = true;
}

static enum tri_status give(struct tri_task *task,
                            const struct tri_command_result *ran,
                            struct tri_result *out)
{
    struct tri_buffer packed;
    enum tri_status status;

    tri_buffer_init(&packed);
    tri_pack_array(&packed, 4);
    tri_pack_int(&packed, ran->signal != 0 ? 128 + ran->signal : ran->exit_code);
    tri_pack_binary(&packed, ran->output.data, ran->output.size);
    tri_pack_binary(&packed, ran->error.data, ran->error.size);
    tri_value_pack(&packed, &(struct tri_value){ .type = TRI_BOOL, .boolean = ran->truncated });
    if (packed.failed)
        status = tri_task_fail(task, TRI_MEMORY, "out of memory");
    else
        status = tri_result_bytes(task, out, TRI_COMPOUND, packed.data, packed.size);
    tri_buffer_deinit(&packed);
    if (status != TRI_OK)
        return status;
    if (ran->signal != 0)
        return tri_task_fail(task, TRI_FAILED, "killed by signal %d (SIG%s)", ran->signal,
                             sigabbrev_np(ran->signal));
    if (ran->exit_code != 0)
        return tri_task_fail(task, TRI_FAILED, "exit status %d", ran->exit_code);
    return TRI_OK;
}

static enum tri_status run_command(struct tri_task *task,
                                   const struct tri_value *argument,
                                   struct tri_result *out)
{
    const struct tri_rec_spec *spec = task_spec(task);
    struct tri_command command = { .output_bytes_max = task_output_bytes_max(task) };
    struct tri_command_result ran;
    struct tri_error error;
    struct tri_buffer value;
    char *workdir;
    enum tri_status status = allow_commands(&error);

    if (status != TRI_OK)
        return tri_task_fail(task, status, "%s", error.text);
    tri_buffer_init(&value);
    status = tri_value_to_text(argument, &value, &error);
    if (status == TRI_OK && value.size > 0 && memchr(value.data, 0, value.size) != NULL)
        status = tri_fail(&error, TRI_INVALID, "a command's argument cannot hold a NUL byte");
    if (status == TRI_OK) {
        command.argv = build_argv(task, spec->argv, tri_buffer_bytes(&value));
        command.env = build_env(task, spec->env);
        if (command.argv == NULL || command.env == NULL)
            status = tri_fail(&error, TRI_MEMORY, "out of memory");
    }
    tri_buffer_deinit(&value);
    if (status != TRI_OK)
        return tri_task_fail(task, status, "%s", error.text);
    if (spec->workdir.size > 0) {
        workdir = tri_task_alloc(task, spec->workdir.size + 1);
        if (workdir == NULL)
            return tri_task_fail(task, TRI_MEMORY, "out of memory");
        memcpy(workdir, spec->workdir.data, spec->workdir.size);
        workdir[spec->workdir.size] = '\0';
        command.workdir = workdir;
    }
    status = tri_run_command(task, &command, &ran);
    if (status != TRI_OK)
        return status;
    keep_within(&ran, command.output_bytes_max);
    if (ran.truncated && (spec->flags & TRI_SPEC_TRUNCATE) == 0) {
        give(task, &ran, out);
        return tri_task_fail(task, TRI_TOO_LARGE, "its output is over the cap of %llu bytes",
                             (unsigned long long)command.output_bytes_max);
    }
    return give(task, &ran, out);
}

static const struct tri_handler command = {
    BUILTIN,       .name = "command", .run = run_command,
    .waits = true, .big_stack = true, .summary = "run the batch's command with the value in it"
};

const struct tri_handler *const builtin_command[] = { &command };
const size_t builtin_command_count = sizeof(builtin_command) / sizeof(builtin_command[0]);
