/* fickle.c - a handler that never succeeds, each time in another way: its first try makes the file
 * that $FICKLE_BEGUN names, waits until there is the one that $FICKLE_GATE names, and fails; the
 * second outlasts any timeout, the others crash. */
#include <trireme/handler.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static enum tri_status fickle(struct tri_task *task,
                              const struct tri_value *argument,
                              struct tri_result *out)
{
    (void)argument;
    (void)out;
    if (tri_task_attempt(task) > 2)
        abort();
    if (tri_task_attempt(task) == 1)
        close(open(getenv("FICKLE_BEGUN"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    while (tri_task_attempt(task) == 2 || access(getenv("FICKLE_GATE"), F_OK) != 0) {
        enum tri_status status = tri_sleep(task, 0.01);

        if (status != TRI_OK)
            return status;
    }
    return tri_task_fail(task, TRI_FAILED, "not yet");
}

TRI_HANDLER(.name = "fickle",
            .run = fickle,
            .waits = true,
            .summary = "fails, then hangs, then crashes");
