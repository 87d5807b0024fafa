/* counted.c - a handler that keeps a record of its own calls: `counted` appends its argument, a
 * line with a number, as eight bytes to the file that $COUNTED names, takes 100 us, and returns it.
 */
#include <trireme/handler.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum tri_status counted(struct tri_task *task,
                               const struct tri_value *argument,
                               struct tri_result *out)
{
    static const struct timespec pause = { 0, 100000 };
    static _Thread_local int fd = -1;
    char text[32] = "";
    uint64_t number;

    if (fd < 0)
        fd = open(getenv("COUNTED"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (argument->bytes.size >= sizeof(text))
        return tri_task_fail(task, TRI_INVALID, "counted wants a number");
    memcpy(text, argument->bytes.data, argument->bytes.size);
    number = strtoull(text, NULL, 10);
    if (write(fd, &number, sizeof(number)) != (ssize_t)sizeof(number))
        return tri_task_fail(task, TRI_SYSTEM, "the call cannot be recorded");
    nanosleep(&pause, NULL);
    return tri_result_borrow(out, argument);
}

TRI_HANDLER(.name = "counted",
            .run = counted,
            .argument = TRI_STRING,
            .summary = "records its calls in $COUNTED");
