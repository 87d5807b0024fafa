#include "client/cli/signals.h"

#include "client/cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define REMIND_S 1

static volatile sig_atomic_t begun;
static volatile sig_atomic_t came;
static volatile sig_atomic_t reminded;
static int wake_fd = -1;

/* Nothing here may wait or take a lock. A private run's broker and worker notice by themselves that
 * this process is gone. */
static void on_signal(int number)
{
    uint64_t one = 1;
    int saved = errno;
    ssize_t written;

    (void)number;
    if (came || !begun)
        _exit(CLI_INTERRUPTED);
    came = 1;
    alarm(REMIND_S);
    written = write(wake_fd, &one, sizeof(one));
    (void)written;
    errno = saved;
}

/* The call that blocks may have been entered after it was asked whether a signal had come: this
 * ends it all the same, if not at once. And who waits for the end hears why, once. */
static void on_alarm(int number)
{
    static const char waits[] =
        "trireme: interrupted, but something does not take the last of it (the "
        "broker, or who reads the output): a second signal ends this at once\n";
    int saved = errno;
    ssize_t written;

    (void)number;
    if (!reminded) {
        reminded = 1;
        written = write(STDERR_FILENO, waits, sizeof(waits) - 1);
        (void)written;
    }
    alarm(REMIND_S);
    errno = saved;
}

void signals_begin(void)
{
    begun = 1;
}

int signals_open(void)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action = { .sa_handler = on_signal };
    struct sigaction reminder = { .sa_handler = on_alarm };
    struct sigaction before;

    wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    sigemptyset(&action.sa_mask);
    sigemptyset(&reminder.sa_mask);
    sigaction(SIGALRM, &reminder, NULL);
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
