#include "client/cli/signals.h"

#include "client/cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static volatile sig_atomic_t came;
static int wake_fd = -1;

/* Nothing here may wait or take a lock. A private run's broker and worker notice by themselves that
 * this process is gone. */
static void on_signal(int number)
{
    uint64_t one = 1;
    int saved = errno;
    ssize_t written;

    (void)number;
    if (came)
        _exit(CLI_INTERRUPTED);
    came = 1;
    written = write(wake_fd, &one, sizeof(one));
    (void)written;
    errno = saved;
}

int signals_open(void)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action = { .sa_handler = on_signal };
    struct sigaction before;

    wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; wake_fd >= 0 && i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
    return wake_fd;
}

bool signals_came(void)
{
    return came != 0;
}
