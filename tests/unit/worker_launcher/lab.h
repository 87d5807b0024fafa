/* lab.h - a launcher under test: hosts that do what they are told (stand_in.c), commands through
 * them, and questions about processes. Everything waits for messages; nothing sleeps. */
#ifndef LAB_H
#define LAB_H

#include "worker/launcher.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>

struct lab_host {
    uint64_t id;
    struct link link;
    pid_t pid;
    struct link_message message;
};

/* What a RAN said; strings end in NUL. */
struct lab_result {
    uint64_t id;
    uint64_t status;
    char text[508];
    int wait_status;
    bool truncated;
    uint64_t wall_us, cpu_us;
    char *output, *error;
    size_t output_size, error_size;
};

/* What a stand-in host does on CREDIT{lease = one of these}; it answers HOST_UP{pid}. */
enum lab_errand {
    LAB_DAEMON = 1, /* leave a daemon (forked twice, in a session of its own): its pid */
    LAB_CHILD,      /* fork a child that waits: its pid */
    LAB_FDS,        /* how many descriptors are open */
    LAB_PLUGIN,     /* 1 when the plugin's symbol is there */
    LAB_THREADS,    /* how many threads run */
};

extern struct launcher lab_launcher;

/* A folder with a FIFO, for all tests of the case: it is removed however they end. */
void lab_folder_for(TCase *tcase);

void lab_open(void);
void lab_close(void);

/* Ask for a host; lab_host_up waits for HOST_UP, lab_host_gone for HOST_GONE of it. */
void lab_host_start(struct lab_host *host, bool spawn, const char *plugin);
void lab_host_up(struct lab_host *host);
struct tri_msg_host_gone lab_host_gone(struct lab_host *host);
/* Both: a forked host without a plugin that is up. */
void lab_host(struct lab_host *host);
void lab_host_close(struct lab_host *host);
uint64_t lab_errand(struct lab_host *host, enum lab_errand errand);
/* Make it raise a signal in itself. */
void lab_host_raise(struct lab_host *host, int signal);

/* Run a command; `argv` ends in NULL. */
struct lab_run {
    uint64_t id;
    const char *const *argv;
    const char *const *env;
    const char *workdir;
    struct tri_bytes input;
    uint64_t output_bytes_max;
};
void lab_run(struct lab_host *host, const struct lab_run *run);
void lab_stop(struct lab_host *host, uint64_t id, uint64_t grace_ms);
/* The next RAN; free with lab_result_deinit. */
struct lab_result lab_ran(struct lab_host *host);
void lab_result_deinit(struct lab_result *result);
/* Both, of a shell script. */
struct lab_result lab_sh(struct lab_host *host, const char *script);

/* A script that may say something while it runs: it writes to $FIFO, lab_hear waits for a number.
 */
void lab_run_sh(struct lab_host *host, uint64_t id, const char *script);
pid_t lab_hear(void);

bool lab_is_gone(pid_t pid);
pid_t lab_parent_of(pid_t pid);
size_t lab_fd_count(pid_t pid);

#define LAB_ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })

#endif
