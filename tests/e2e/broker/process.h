/* process.h - a trireme-broker of our own, from start to exit status.
 *
 * A broker that a failing test leaves behind dies with the test (PR_SET_PDEATHSIG). Every wait is
 * bounded, and what the broker wrote on stderr is printed when one fails.
 */
#ifndef TESTS_E2E_BROKER_PROCESS_H
#define TESTS_E2E_BROKER_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PATIENCE_MS 30000

struct process {
    pid_t pid;
    char endpoint[304]; /* the first it listens on */
    int log;            /* its stderr, a file */
    int owner;          /* the writing end of --private, or -1 */
};

/* A new empty directory, 0700. */
void directory_make(char path[64]);
/* Remove it and the files in it. */
void directory_remove(const char *path);

/* Start with these arguments (NULL at the end) and wait until it listens. */
struct process broker_start(const char *first, ...) __attribute__((sentinel));

/* The same as a private run. */
struct process broker_start_private(const char *first, ...) __attribute__((sentinel));

/* Start, expect it to end by itself with `status`, and `text` on stdout or stderr. */
void broker_fails(int status, const char *text, const char *first, ...) __attribute__((sentinel));

/* Wait for its end and expect `status`. */
void process_ends(struct process *self, int status);

/* Wait until signal `number` has killed it. */
void process_dies(struct process *self, int number);

/* SIGTERM, and a clean end. */
void process_stop(struct process *self);

/* SIGKILL. */
void process_kill(struct process *self);

/* Wait until `text` stands in its log. */
void process_logs(const struct process *self, const char *text);

/* Does `text` stand in its log now? */
bool process_has_logged(const struct process *self, const char *text);

#endif
