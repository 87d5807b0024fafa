/* command.h - a host's end of the command link: RUN to the launcher, RAN back.
 *
 * Threads: `lock` guards the calls and the sending half; whoever is `reader` has the receiving
 *          half. A thread that waits for its command reads for all who wait.
 * Memory:  a call belongs to the task that waits for it; its output is malloc'ed.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include "common/list.h"
#include "worker/link.h"

#include <pthread.h>

struct tri_command;
struct tri_command_result;
struct tri_task;
struct rower;

struct command_call {
    struct tri_dlist_node node; /* in client->calls */
    uint64_t id;
    struct tri_task *task; /* whose rower or coroutine to wake */
    bool done;
    bool stopped;           /* STOP was sent */
    enum tri_status status; /* as the launcher has it */
    char text[508];
    uint32_t wait_status;
    bool truncated;
    uint64_t cpu_us;
    struct tri_bytes outputs[2]; /* malloc'ed */
};

struct command_client {
    pthread_mutex_t lock;
    struct link link;
    struct tri_dlist_head calls; /* oldest first */
    struct rower *reader;
    uint64_t next_id;
    struct link_message received;
};

void command_client_init(struct command_client *self, int fd);

/* Under the lock. Ask for a command; `call` is in self->calls until it is done. */
void command_send(struct command_client *self,
                  struct command_call *call,
                  const struct tri_command *command,
                  uint64_t output_bytes_max);

/* Under the lock. Ask for its end, once: TERM, and KILL a second later. */
void command_stop(struct command_client *self, struct command_call *call);

/* By the reader (or on the loop), without the lock: take in what has come; `wake` is called, under
 * the lock, for each call that is done. When the launcher is gone every call is. */
void command_receive(struct command_client *self, void (*wake)(struct command_call *call));

#endif
