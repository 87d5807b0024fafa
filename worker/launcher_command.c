/* Commands: RUN to RAN. A command ends when its own process does; what was written until then is
 * read, whoever else still holds the pipes.
 *
 * Most commands are short and say less than a pipe holds. So output is watched only after
 * WATCH_AFTER_MS: what ends before is read once, at its end, and wakes the launcher once. */
#include "worker/launcher_parts.h"

#include "common/assert.h"
#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WATCH_AFTER_MS 3

/* ---- streams -------------------------------------------------------------------------------- */

/* Keep what the limit allows; the rest is dropped. */
static void keep_output(struct command *command,
                        struct tri_buffer *kept,
                        size_t size,
                        const uint8_t *data)
{
    uint64_t room = command->output_bytes_max - kept->size;

    command->truncated = command->truncated || size > room;
    tri_buffer_append(kept, data, size < room ? size : (size_t)room);
    if (kept->failed)
        tri_out_of_memory();
}

/* One read of at most `limit` bytes; the pipe is closed at its end. False when there is no more. */
static bool read_output(struct launcher_state *self,
                        struct command *command,
                        struct watch *watch,
                        size_t limit)
{
    ssize_t count = read(watch->fd, self->scratch, limit);

    if (count > 0) {
        keep_output(command,
                    watch->kind == WATCH_OUTPUT ? &command->output_bytes : &command->error_bytes,
                    (size_t)count, self->scratch);
        return true;
    }
    if (count < 0 && errno == EINTR)
        return true;
    launcher_watch_close(self, watch);
    return false;
}

/* Take what is in the pipe now, and no more: a process that was left behind may go on writing. */
static void read_rest(struct launcher_state *self, struct command *command, struct watch *watch)
{
    int left = 0;

    if (watch->fd < 0)
        return;
    if (ioctl(watch->fd, FIONREAD, &left) != 0)
        left = 0;
    while (left > 0) {
        size_t limit = (size_t)left < sizeof(self->scratch) ? (size_t)left : sizeof(self->scratch);

        if (!read_output(self, command, watch, limit))
            return;
        left -= (int)limit;
    }
    launcher_watch_close(self, watch);
}

/* Feed what the pipe takes. A reader that has gone is no error. */
static void write_input(struct launcher_state *self, struct command *command)
{
    struct tri_buffer *input = &command->input_bytes;

    while (command->input_start < input->size) {
        ssize_t count = write(command->input.fd, input->data + command->input_start,
                              input->size - command->input_start);

        if (count < 0 && errno == EAGAIN)
            return;
        if (count < 0 && errno != EINTR)
            break;
        command->input_start += count > 0 ? (size_t)count : 0;
    }
    launcher_watch_close(self, &command->input);
    tri_buffer_deinit(input);
}

void launcher_command_event(struct launcher_state *self, struct watch *watch)
{
    struct command *command = watch->owner;

    if (watch->kind == WATCH_INPUT)
        write_input(self, command);
    else
        read_output(self, command, watch, sizeof(self->scratch));
}

/* ---- the end -------------------------------------------------------------------------------- */

void launcher_command_kill(struct command *command)
{
    if (command->tree.ended)
        return;
    if (kill(-command->tree.pid, SIGKILL) != 0)
        kill(command->tree.pid, SIGKILL);
}

static void unlist(struct tri_dlist_head *list, struct tri_dlist_node *node)
{
    if (tri_dlist_is_linked(node))
        tri_dlist_remove(list, node);
}

void launcher_command_ended(struct launcher_state *self,
                            struct command *command,
                            int wait_status,
                            const struct rusage *usage)
{
    command->wait_status = wait_status;
    command->wall_ns = tri_clock_now_ns() - command->started_ns;
    command->cpu_us = (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000u
                      + (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
    unlist(&self->stopping, &command->stopping);
    unlist(&self->fresh, &command->fresh);
    read_rest(self, command, &command->output);
    read_rest(self, command, &command->error);
    launcher_watch_close(self, &command->input);
    launcher_tree_end(self, &command->tree);
}

static void destroy(struct launcher_state *self, struct command *command)
{
    struct host *host = command->host;

    launcher_watch_close(self, &command->input);
    launcher_watch_close(self, &command->output);
    launcher_watch_close(self, &command->error);
    tri_buffer_deinit(&command->input_bytes);
    tri_buffer_deinit(&command->output_bytes);
    tri_buffer_deinit(&command->error_bytes);
    launcher_launch_release(self, command);
    tri_map_remove(&host->commands, command->id);
    launcher_tree_forget(self, &command->tree);
    launcher_free_later(self, command);
    if (host->tree.ended && host->commands.count == 0)
        self->sweep = true; /* the host waits for its last command */
}

static void refuse(struct launcher_state *self,
                   struct host *host,
                   uint64_t id,
                   const struct tri_error *error)
{
    struct tri_message message = {
        .type = TRI_MESSAGE_RAN,
        .ran = { .id = id, .status = error->status, .text = tri_bytes_of(error->text) }
    };

    launcher_channel_post(self, &host->channel, &message, NULL, 0, NULL, 0);
}

void launcher_command_report(struct launcher_state *self, struct command *command)
{
    struct tri_message message = { .type = TRI_MESSAGE_RAN,
                                   .ran = { .id = command->id,
                                            .wait_status = (uint32_t)command->wait_status,
                                            .truncated = command->truncated,
                                            .wall_us = command->wall_ns / 1000,
                                            .cpu_us = command->cpu_us } };
    struct tri_bytes frames[] = { tri_buffer_bytes(&command->output_bytes),
                                  tri_buffer_bytes(&command->error_bytes) };
    struct tri_error error;

    if (launcher_launch_result(command->launch, &error) != TRI_OK)
        refuse(self, command->host, command->id, &error);
    else
        launcher_channel_post(self, &command->host->channel, &message, frames, 2, NULL, 0);
    destroy(self, command);
}

/* ---- the beginning -------------------------------------------------------------------------- */

/* Serve our ends of the pipes. */
static void open_streams(struct launcher_state *self,
                         struct command *command,
                         struct tri_bytes input)
{
    command->watch_at = command->started_ns / 1000000 + WATCH_AFTER_MS;
    tri_dlist_push_back(&self->fresh, &command->fresh);
    if (input.size == 0)
        return;
    fcntl(command->input.fd, F_SETFL, O_WRONLY | O_NONBLOCK);
    tri_buffer_append(&command->input_bytes, input.data, input.size);
    if (command->input_bytes.failed)
        tri_out_of_memory();
    write_input(self, command);
    if (command->input.fd >= 0)
        launcher_watch(self, &command->input, EPOLLOUT);
}

static uint64_t output_limit(uint64_t asked)
{
    if (asked == 0)
        return LAUNCHER_OUTPUT_BYTES_DEFAULT;
    return asked < LINK_PART_BYTES_MAX ? asked : LINK_PART_BYTES_MAX;
}

void launcher_command_run(struct launcher_state *self,
                          struct host *host,
                          const struct link_message *message)
{
    const struct tri_msg_run *run = &message->message.run;
    struct tri_bytes input = { NULL, 0 };
    struct command *command;
    struct tri_error error;

    if (tri_map_find(&host->commands, run->id) != NULL) {
        tri_fail(&error, TRI_CONFLICT, "command %" PRIu64 " runs already", run->id);
        refuse(self, host, run->id, &error);
        return;
    }
    if (message->frame_count > 0)
        input = message->frames[0];
    command = tri_alloc(1, sizeof(*command));
    command->host = host;
    command->id = run->id;
    command->output_bytes_max = output_limit(run->output_bytes_max);
    command->input = (struct watch){ .kind = WATCH_INPUT, .fd = -1, .owner = command };
    command->output = (struct watch){ .kind = WATCH_OUTPUT, .fd = -1, .owner = command };
    command->error = (struct watch){ .kind = WATCH_ERROR, .fd = -1, .owner = command };
    command->started_ns = tri_clock_now_ns();
    launcher_tree_start(self, &command->tree, TREE_COMMAND);
    tri_map_put(&host->commands, command->id, command);
    if (launcher_launch(self, command, run, input.size > 0, &error) == TRI_OK) {
        open_streams(self, command, input);
        return;
    }
    refuse(self, host, run->id, &error);
    launcher_tree_end(self, &command->tree);
    destroy(self, command);
}

/* ---- stopping ------------------------------------------------------------------------------- */

void launcher_command_stop(struct launcher_state *self,
                           struct host *host,
                           const struct tri_msg_stop *stop)
{
    struct command *command = tri_map_find(&host->commands, stop->id);
    tri_time now = tri_clock_now_ms();

    if (command == NULL || command->tree.ended)
        return;
    if (stop->grace_ms == 0) {
        launcher_command_kill(command);
        return;
    }
    if (kill(-command->tree.pid, SIGTERM) != 0)
        kill(command->tree.pid, SIGTERM);
    unlist(&self->stopping, &command->stopping);
    command->kill_at = stop->grace_ms < TRI_NEVER - now ? now + stop->grace_ms : TRI_NEVER;
    tri_dlist_push_back(&self->stopping, &command->stopping);
    if (command->kill_at < self->kill_at)
        self->kill_at = command->kill_at;
}

/* ---- time ----------------------------------------------------------------------------------- */

static struct command *first_fresh(const struct launcher_state *self)
{
    struct tri_dlist_node *node = tri_dlist_first(&self->fresh);

    return node != NULL ? tri_container_of(node, struct command, fresh) : NULL;
}

tri_time launcher_command_deadline(const struct launcher_state *self)
{
    const struct command *fresh = first_fresh(self);

    return fresh != NULL && fresh->watch_at < self->kill_at ? fresh->watch_at : self->kill_at;
}

static void kill_late(struct launcher_state *self, tri_time now)
{
    self->kill_at = TRI_NEVER;
    tri_dlist_foreach(&self->stopping, node)
    {
        struct command *command = tri_container_of(node, struct command, stopping);

        if (command->kill_at <= now) {
            tri_dlist_remove(&self->stopping, node);
            launcher_command_kill(command);
        } else if (command->kill_at < self->kill_at) {
            self->kill_at = command->kill_at;
        }
    }
}

void launcher_command_tick(struct launcher_state *self, tri_time now)
{
    struct command *command;

    while ((command = first_fresh(self)) != NULL && command->watch_at <= now) {
        tri_dlist_remove(&self->fresh, &command->fresh);
        launcher_watch(self, &command->output, EPOLLIN);
        launcher_watch(self, &command->error, EPOLLIN);
    }
    if (now >= self->kill_at)
        kill_late(self, now);
}
