#include "worker/host_crash.h"

#include "common/assert.h"
#include "common/types.h"
#include "worker/oars/task_state.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define STACK_BYTES 32768

_Thread_local struct tri_task *crash_task;

static struct host_table *witness;

static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP };

/* Sent from another process, it says nothing about the task that happens to run here. */
static bool is_own_fault(const siginfo_t *info)
{
    return info->si_code > 0 || info->si_pid == getpid();
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    const struct tri_task *task = crash_task;
    int nobody = -1;

    (void)context;
    if (task != NULL && is_own_fault(info)
        && atomic_compare_exchange_strong(&witness->culprit, &nobody, (int)task->slot_number)) {
        atomic_store(&witness->culprit_task, task->index + 1);
        atomic_store(&witness->culprit_signal, signal);
    }
    /* The disposition is the default again (SA_RESETHAND): a fault repeats itself on return, a
     * signal that was sent must be sent again. */
    raise(signal);
}

void crash_init(struct host_table *table)
{
    struct sigaction action = {
        .sa_sigaction = on_fault,
        .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND | SA_NODEFER,
    };

    witness = table;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < TRI_COUNT_OF(signals); i++)
        tri_assert(sigaction(signals[i], &action, NULL) == 0);
}

void crash_thread_init(void **stack)
{
    stack_t alternate = { .ss_size = STACK_BYTES };

    *stack = alternate.ss_sp = tri_alloc(1, STACK_BYTES);
    tri_assert(sigaltstack(&alternate, NULL) == 0);
}

void crash_thread_deinit(void **stack)
{
    stack_t none = { .ss_flags = SS_DISABLE };

    sigaltstack(&none, NULL);
    free(*stack);
    *stack = NULL;
}
