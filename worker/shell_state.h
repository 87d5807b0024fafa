/* shell_state.h - what the shell is made of. Private to worker/shell*.c. */
#ifndef SHELL_STATE_H
#define SHELL_STATE_H

#include "common/map.h"
#include "common/net/parts.h"
#include "worker/host_table.h"
#include "worker/shell.h"

/* What an epoll event stands for: a host's number, or one of these. */
#define SHELL_WATCH_SIGNALS UINT64_MAX
#define SHELL_WATCH_OWNER (UINT64_MAX - 1)
#define SHELL_WATCH_LAUNCHER (UINT64_MAX - 2)
#define SHELL_WATCH_SOCKET (UINT64_MAX - 3)
#define SHELL_WATCH_MONITOR (UINT64_MAX - 4)

/* Where a watched oar was when last seen to move. */
struct shell_mark {
    uint64_t task;
    uint64_t seq;
    uint64_t turns;
    tri_time since;
};

struct shell_host {
    uint64_t id;
    struct link link; /* fd -1 once closed */
    bool wants_out;   /* EPOLLOUT is asked for */
    struct host_table *table;
    size_t table_bytes;
    uint32_t width;
    enum tri_model model;
    uint64_t timeout_ms;
    struct shell_mark mark;
    tri_time closed_at; /* its link ended by itself, TRI_NEVER: not */
};

/* A host that could not be started: told to the session once the effects at hand are done. */
struct shell_failure {
    uint64_t host;
    struct tri_error error;
};

struct shell {
    const struct shell_options *options;
    struct session *session;
    struct launcher launcher;
    struct tri_map hosts;
    int epoll_fd;
    int signal_fd;
    void *context;
    void *socket;        /* NULL: waiting for connect_at */
    void *monitor;       /* says when its connection is cut; NULL with it, or there is none */
    bool socket_stirred; /* it may have a message without its descriptor saying so */
    tri_time connect_at;
    size_t endpoint; /* as many as have been tried */
    struct tri_parts parts;
    struct tri_frame **frames; /* of the message at hand */
    size_t frame_capacity;
    struct link_message received;          /* from a host */
    struct link_message launcher_received; /* its hosts are heard before it is done with */
    struct session_task *started;
    size_t started_count;
    size_t started_capacity;
    struct shell_failure *failures;
    size_t failure_count;
    size_t failure_capacity;
    tri_time watch_at; /* look at the tables again */
    bool socket_failed;
    bool launcher_failed;
    bool launcher_wants_out;
    bool draining;
    bool exiting;
    int status;
};

/* ---- shell.c -------------------------------------------------------------------------------- */

/* Give the session an event (now is filled in) and perform what it wants. */
void shell_apply(struct shell *self, struct session_event *event);

/* Room for `count` frames in self->frames. */
struct tri_frame **shell_frames(struct shell *self, size_t count);
void shell_release_frames(struct shell *self, size_t count);

/* ---- shell_broker.c: the socket ------------------------------------------------------------- */

void shell_connect(struct shell *self);
void shell_connect_after(struct shell *self, uint64_t after_ms);
void shell_disconnect(struct shell *self, int linger_ms);

/* Has something come that nobody has been told of? */
bool shell_has_mail(struct shell *self);

/* Take what has come, as far as it is there. */
void shell_receive(struct shell *self);

/* The monitor has something: where the connection was cut, what it brought is heard, and then the
 * session is told. */
void shell_monitor_ready(struct shell *self);
void shell_send(struct shell *self, const struct session_effect *effect);

/* ---- shell_hosts.c: links, tables and the launcher ------------------------------------------ */

enum tri_status shell_launcher_open(struct shell *self, struct tri_error *error);
void shell_hosts_close(struct shell *self);

void shell_host_start(struct shell *self, const struct session_effect *effect);
void shell_host_send(struct shell *self, const struct session_effect *effect);
void shell_host_kill(struct shell *self, const struct session_effect *effect);
void shell_host_end(struct shell *self, uint64_t host);
void shell_host_forget(struct shell *self, uint64_t host);
void shell_host_ready(struct shell *self, uint64_t host, uint32_t events);
void shell_launcher_ready(struct shell *self, uint32_t events);

/* Ask epoll for what the links want now. */
void shell_tend_launcher(struct shell *self);

/* ---- shell_watch.c: what the tables say ----------------------------------------------------- */

/* Gather what all hosts (or one) are on into self->started. */
void shell_gather(struct shell *self, const struct shell_host *only);

/* Look for oars that are stuck; sets watch_at. */
void shell_watch(struct shell *self);

#endif
