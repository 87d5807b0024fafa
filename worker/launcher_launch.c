/* The first moments of a command: pipes, and a process that is to become it. Whether it did is
 * known when it has ended: nobody waits for it to call exec, and meanwhile others are started. */
#include "worker/launcher_parts.h"

#include "common/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* ---- launches ------------------------------------------------------------------------------- */

static struct launch *take(struct launcher_state *self)
{
    struct launch *launch = self->idle_launches;

    if (launch == NULL)
        return tri_alloc(1, sizeof(*launch));
    self->idle_launches = launch->next;
    return launch;
}

void launcher_launch_release(struct launcher_state *self, struct command *command)
{
    if (command->launch == NULL)
        return;
    command->launch->next = self->idle_launches;
    self->idle_launches = command->launch;
    command->launch = NULL;
}

enum tri_status launcher_launch_result(const struct launch *launch, struct tri_error *error)
{
    const struct spawn *spawn = &launch->spawn;

    if (spawn->reason == 0)
        return TRI_OK;
    switch (spawn->stage) {
    case SPAWN_CLONE:
        break;
    case SPAWN_WORKDIR:
        return tri_fail(error, TRI_FAILED, "cannot change to directory \"%.400s\": %s",
                        spawn->workdir, strerror(spawn->reason));
    case SPAWN_EXEC:
        return tri_fail(error, TRI_FAILED, "cannot run \"%.400s\": %s", spawn->argv[0],
                        strerror(spawn->reason));
    }
    return tri_fail(error, TRI_SYSTEM, "cannot start \"%.400s\": %s", spawn->argv[0],
                    strerror(spawn->reason));
}

/* ---- pipes ---------------------------------------------------------------------------------- */

struct pipes {
    int input[2], output[2], error[2]; /* read, write */
};

static void close_ends(const struct pipes *pipes, int end)
{
    const int fds[] = { pipes->input[end], pipes->output[1 - end], pipes->error[1 - end] };

    for (size_t i = 0; i < TRI_COUNT_OF(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static enum tri_status open_pipes(const struct launcher_state *self,
                                  struct pipes *pipes,
                                  bool with_input,
                                  struct tri_error *error)
{
    int reason;

    *pipes = (struct pipes){ { -1, -1 }, { -1, -1 }, { -1, -1 } };
    if ((!with_input || pipe2(pipes->input, O_CLOEXEC) == 0) && pipe2(pipes->output, O_CLOEXEC) == 0
        && pipe2(pipes->error, O_CLOEXEC) == 0) {
        if (pipes->error[1] < self->fd_end)
            return TRI_OK;
        errno = EMFILE;
    }
    reason = errno;
    close_ends(pipes, 0);
    close_ends(pipes, 1);
    return tri_fail(error, TRI_SYSTEM, "cannot open pipes: %s", strerror(reason));
}

/* ---- the start ------------------------------------------------------------------------------ */

enum tri_status launcher_launch(struct launcher_state *self,
                                struct command *command,
                                const struct tri_msg_run *run,
                                bool with_input,
                                struct tri_error *error)
{
    struct launch *launch = command->launch = take(self);
    struct spawn *spawn = &launch->spawn;
    struct pipes pipes;
    pid_t pid;
    enum tri_status status = launcher_words_of(self, run, &command->tree, launch, error);

    if (status == TRI_OK)
        status = open_pipes(self, &pipes, with_input, error);
    if (status != TRI_OK)
        return status;
    spawn->fds[0] = pipes.input[0];
    spawn->fds[1] = pipes.output[1];
    spawn->fds[2] = pipes.error[1];
    spawn->fd_count = 3;
    spawn->files_limit = self->files_raised ? &self->files : NULL;
    spawn->stack = launch->stack;
    pid = launcher_spawn_begin(spawn);
    close_ends(&pipes, 0);
    if (pid == 0) {
        close_ends(&pipes, 1);
        return launcher_launch_result(launch, error);
    }
    launcher_tree_up(self, &command->tree, pid);
    command->input.fd = pipes.input[1];
    command->output.fd = pipes.output[0];
    command->error.fd = pipes.error[0];
    return TRI_OK;
}
