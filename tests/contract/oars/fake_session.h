/* fake_session.h - the session's end of a host's link, for tests: starts a real host in a child
 * process, gives it leases, and keeps the books on every index.
 *
 * Every index of a lease must come back exactly once, as a value, folded, ended or released;
 * whatever else happens fails the test on the spot.
 */
#ifndef FAKE_SESSION_H
#define FAKE_SESSION_H

#include "common/proto/codec.h"
#include "common/reduce.h"
#include "common/value.h"
#include "tests/unit/story_check.h"
#include "worker/host_table.h"
#include "worker/link.h"

#include <sys/types.h>

enum fate { FATE_OPEN, FATE_VALUE, FATE_FOLDED, FATE_ENDED, FATE_RELEASED };

struct account {
    enum fate fate;
    struct tri_buffer value; /* msgpack */
    uint64_t outcome;
    uint64_t attempts;
    char *error;
};

struct fake {
    struct link link;
    struct link command; /* the launcher's end of the command link */
    pid_t pid;
    struct host_table *table;
    enum tri_model model;
    uint64_t count; /* indexes under account */
    struct account *accounts;
    uint64_t open; /* of those leased, not back yet */
    struct tri_reducer *reducer;
    uint64_t results; /* messages */
    uint64_t partials;
    uint64_t wall_ns;
    uint64_t cpu_ns;
    uint64_t sampled;     /* result messages marked so */
    uint64_t task_times;  /* values with a time of their own */
    bool wants_replacing; /* OARS with width 0 came */
    uint64_t refusal;     /* its status */
    char reason[512];
    bool closed;
    uint64_t next_lease;
};

/* The model under test: the program's argument. */
extern enum tri_model model_under_test;

struct fake_options {
    const char *handler;
    unsigned width; /* clamped to 1 for processes */
    enum tri_source source;
    int64_t first;
    int64_t step; /* 0: 1 */
    uint64_t timeout_ms;
    const char *reducer;
    uint64_t flags;
    uint64_t output_bytes_max;
    uint64_t descriptors_max; /* RLIMIT_NOFILE of the host; 0: as it is */
};

/* A host with a batch of at most `count` tasks. */
void fake_open(struct fake *self, const struct fake_options *options, uint64_t count);

/* Close the link; the host must end with status 0. */
void fake_close(struct fake *self);

/* Lease tasks [first, first+count). Returns the lease's number. */
uint64_t fake_lease(struct fake *self, uint64_t first, uint64_t count);

/* The same with arguments; `chunk` values a frame (0: all in one). */
uint64_t fake_lease_items(struct fake *self,
                          uint64_t first,
                          const struct tri_value *values,
                          uint64_t count,
                          uint64_t chunk);

/* A batch of items, and a lease of strings. */
void fake_open_items(
    struct fake *self, const char *handler, unsigned width, uint64_t timeout_ms, uint64_t count);
void fake_lease_texts(struct fake *self, const char *const *texts, uint64_t count);

void fake_revoke(struct fake *self, uint64_t lease, uint64_t first, uint64_t count);
void fake_cancel(struct fake *self, uint64_t lease, uint64_t first, uint64_t count);

/* Take one message, waiting for it. False when the host is gone. */
bool fake_step(struct fake *self);

/* Take messages until everything leased is back. */
void fake_finish(struct fake *self);

/* Take messages until the host is dead; its wait status. */
int fake_bury(struct fake *self);

/* Until [first, first+count) is back. */
void fake_wait_for(struct fake *self, uint64_t first, uint64_t count);

/* The value of task `index`, which must have one. */
struct tri_value fake_value(const struct fake *self, uint64_t index);
int64_t fake_integer(const struct fake *self, uint64_t index);
void fake_expect_integer(const struct fake *self, uint64_t index, int64_t wanted);
void fake_expect_text(const struct fake *self, uint64_t index, const char *text);
void fake_expect_ended(const struct fake *self,
                       uint64_t index,
                       enum tri_outcome outcome,
                       const char *error);

/* What the reducer says. */
const char *fake_reduced(struct fake *self);

/* A pipe that handler `hold` waits for and `press` blocks on: written by fake_let_go. */
void fake_let_go(unsigned count);

/* Block until `count` tasks of handler `hold` or `press` have begun. */
void fake_expect_begun(unsigned count);

/* The test's handlers (handlers.c). */
void fake_handlers_register(const int hold_pipe[2], const int begun_pipe[2]);

#endif
