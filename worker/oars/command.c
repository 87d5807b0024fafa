/* Commands of tasks: what goes to the launcher and what comes back, and tri_run_command. */
#include "worker/oars/command.h"

#include "common/assert.h"
#include "common/proto/codec.h"
#include "worker/oars/task_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define OUTPUT_BYTES_MAX (UINT64_C(16) << 20) /* of each stream, when the command does not say */
#define GRACE_MS 1000
#define WORDS_MAX 4096 /* as the tables of RUN have it */
#define WORD_BYTES_MAX 131072
#define WORKDIR_BYTES_MAX 4096

void command_client_init(struct command_client *self, int fd)
{
    *self = (struct command_client){ .next_id = 1 };
    pthread_mutex_init(&self->lock, NULL);
    link_init(&self->link, fd);
    tri_dlist_init(&self->calls);
}

/* ---- sending -------------------------------------------------------------------------------- */

static struct tri_list encode_words(const char *const *words, struct tri_buffer *bytes)
{
    size_t count = 0;

    for (; words != NULL && words[count] != NULL; count++) {
        struct tri_rec_text record = { .text = tri_bytes_of(words[count]) };

        tri_record_encode(TRI_RECORD_TEXT, &record, bytes);
    }
    tri_assert(!bytes->failed);
    return tri_list_of(bytes, count);
}

static void fail_call(struct command_call *call, enum tri_status status, const char *text)
{
    call->done = true;
    call->status = status;
    snprintf(call->text, sizeof(call->text), "%s", text);
}

void command_send(struct command_client *self,
                  struct command_call *call,
                  const struct tri_command *command,
                  uint64_t output_bytes_max)
{
    struct tri_message message = { .type = TRI_MESSAGE_RUN };
    struct tri_buffer argv;
    struct tri_buffer env;
    struct tri_error error;

    tri_buffer_init(&argv);
    tri_buffer_init(&env);
    call->id = self->next_id++;
    message.run.id = call->id;
    message.run.argv = encode_words(command->argv, &argv);
    message.run.env = encode_words(command->env, &env);
    message.run.workdir = tri_bytes_of(command->workdir != NULL ? command->workdir : "");
    message.run.output_bytes_max = output_bytes_max;
    if (link_send(&self->link, &message, &command->input, command->input.size != 0, NULL, 0, &error)
        != TRI_OK)
        fail_call(call, error.status, error.text);
    else
        tri_dlist_push_back(&self->calls, &call->node);
    tri_buffer_deinit(&argv);
    tri_buffer_deinit(&env);
}

void command_stop(struct command_client *self, struct command_call *call)
{
    struct tri_message message = { .type = TRI_MESSAGE_STOP };

    if (call->stopped || call->done)
        return;
    call->stopped = true;
    message.stop.id = call->id;
    message.stop.grace_ms = GRACE_MS;
    /* When it cannot be sent the launcher is gone, and receiving says so. */
    link_send(&self->link, &message, NULL, 0, NULL, 0, NULL);
}

/* ---- receiving ------------------------------------------------------------------------------ */

static struct command_call *find(struct command_client *self, uint64_t id)
{
    tri_dlist_foreach(&self->calls, node)
    {
        struct command_call *call = tri_container_of(node, struct command_call, node);

        if (call->id == id)
            return call;
    }
    return NULL;
}

static struct tri_bytes keep(struct tri_bytes bytes)
{
    uint8_t *copy = tri_alloc(bytes.size + 1, 1);

    if (bytes.size != 0)
        memcpy(copy, bytes.data, bytes.size);
    return (struct tri_bytes){ copy, bytes.size };
}

static void on_ran(struct command_client *self, void (*wake)(struct command_call *call))
{
    const struct tri_msg_ran *ran = &self->received.message.ran;
    struct command_call *call = find(self, ran->id);

    if (call == NULL)
        return;
    tri_dlist_remove(&self->calls, &call->node);
    call->done = true;
    call->status = (enum tri_status)ran->status;
    snprintf(call->text, sizeof(call->text), "%.*s", (int)ran->text.size,
             (const char *)ran->text.data);
    call->wait_status = (uint32_t)ran->wait_status;
    call->truncated = ran->truncated != 0;
    call->cpu_us = ran->cpu_us;
    for (size_t i = 0; i < 2 && i < self->received.frame_count; i++)
        call->outputs[i] = keep(self->received.frames[i]);
    wake(call);
}

void command_receive(struct command_client *self, void (*wake)(struct command_call *call))
{
    struct tri_error error;
    enum tri_status status;

    do {
        status = link_receive(&self->link, false, &self->received, &error);
        pthread_mutex_lock(&self->lock);
        if (status == TRI_OK && self->received.message.type == TRI_MESSAGE_RAN)
            on_ran(self, wake);
        while (status != TRI_OK && status != TRI_EMPTY && !tri_dlist_is_empty(&self->calls)) {
            struct tri_dlist_node *node = tri_dlist_pop_front(&self->calls);
            struct command_call *call = tri_container_of(node, struct command_call, node);

            fail_call(call, TRI_CLOSED, "the launcher of commands is gone");
            wake(call);
        }
        pthread_mutex_unlock(&self->lock);
    } while (status == TRI_OK && !link_is_drained(&self->link));
}

/* ---- tri_run_command ------------------------------------------------------------------------ */

static bool words_fit(const char *const *words)
{
    size_t count = 0;

    for (; words != NULL && words[count] != NULL; count++) {
        if (count == WORDS_MAX || strlen(words[count]) > WORD_BYTES_MAX)
            return false;
    }
    return true;
}

/* The outputs are the task's now. */
static enum tri_status take_outputs(struct tri_task *task, struct command_call *call)
{
    enum tri_status status = TRI_OK;

    for (size_t i = 0; i < 2; i++) {
        if (call->outputs[i].data != NULL
            && arena_take(&task->arena, (void *)(uintptr_t)call->outputs[i].data) == NULL) {
            call->outputs[i] = (struct tri_bytes){ NULL, 0 };
            status = tri_task_fail(task, TRI_MEMORY, "no memory for what the command said");
        }
    }
    return status;
}

enum tri_status tri_run_command(struct tri_task *task,
                                const struct tri_command *command,
                                struct tri_command_result *result)
{
    struct command_call *call;
    enum tri_status status;
    int ended;

    *result = (struct tri_command_result){ 0 };
    if (command->argv == NULL || command->argv[0] == NULL)
        return tri_task_fail(task, TRI_INVALID, "a command without words");
    if (!words_fit(command->argv) || !words_fit(command->env)
        || (command->workdir != NULL && strlen(command->workdir) > WORKDIR_BYTES_MAX))
        return tri_task_fail(task, TRI_TOO_LARGE, "a command may have %d words of %d bytes",
                             WORDS_MAX, WORD_BYTES_MAX);
    call = tri_task_alloc(task, sizeof(*call));
    if (call == NULL)
        return tri_task_fail(task, TRI_MEMORY, "no memory to run a command");
    *call = (struct command_call){ .task = task };
    status = task->ops->command(
        task, command,
        command->output_bytes_max != 0 ? command->output_bytes_max : OUTPUT_BYTES_MAX, call);
    if (take_outputs(task, call) != TRI_OK)
        return TRI_MEMORY;
    if (status != TRI_OK)
        return status;
    ended = (int)call->wait_status;
    task->cpu_extra_ns += call->cpu_us * 1000;
    if (call->status != TRI_OK)
        return tri_task_fail(task, call->status, "%s", call->text);
    result->exit_code = WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
    result->signal = WIFSIGNALED(ended) ? WTERMSIG(ended) : 0;
    result->truncated = call->truncated;
    result->output = call->outputs[0];
    result->error = call->outputs[1];
    return TRI_OK;
}
