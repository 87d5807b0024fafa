/* tiny_broker.h - a broker of one thread with no workers: it answers every task itself, with its
 * argument, keeps everything in memory, and misbehaves on demand. Enough to try the client library
 * over real sockets.
 *
 * Threads: the broker runs in its own; the functions here are called from the test's.
 */
#ifndef TEST_CLIENT_TINY_BROKER_H
#define TEST_CLIENT_TINY_BROKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct tiny_broker;

struct tiny_options {
    uint64_t append_bytes; /* credit beyond what is durable */
    uint64_t heartbeat_ms;
    uint64_t forget_every; /* messages after which all sessions are forgotten; 0: never */
    uint64_t lose_every;   /* of so many messages one is lost with its connection; 0: never */
    bool reverse;          /* rows of a range come last first */
    bool refuse_version;
    bool mute;             /* never answers */
    bool old_rows;         /* a ROW lacks its last field, as that of an older broker might */
    bool knows_tasks;      /* TASKS; SHOW is answered in any case */
    bool knows_arguments;  /* ARGUMENTS; the batch that is shown is one of items then */
    bool breaks_arguments; /* they are no values */
    uint64_t hold_results; /* results are held back until so many items are there */
};

/* Listens when it returns. The endpoint is borrowed until tiny_broker_stop. */
struct tiny_broker *tiny_broker_start(const struct tiny_options *options);
const char *tiny_broker_endpoint(const struct tiny_broker *self);
void tiny_broker_stop(struct tiny_broker **self);

/* Stop listening, forget sessions and listen again at the same place, keeping the batches. */
void tiny_broker_restart(struct tiny_broker *self);

/* Greatest number of unacknowledged row bytes, and rows acknowledged, so far. */
uint64_t tiny_broker_window_peak(const struct tiny_broker *self);
uint64_t tiny_broker_acked(const struct tiny_broker *self);

/* How often TASKS was asked. */
uint64_t tiny_broker_tasks_asked(const struct tiny_broker *self);

#endif
