#include "broker/net/listener.h"

#include "common/assert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

/* Connections that the kernel completes before libzmq accepts them: what the door cannot stop any
 * more when it closes. */
#define BACKLOG 128
#define SOCKET_MODE 0660
#define LOCK_TRIES 200
#define LOCK_PAUSE_NS 10000000L

struct listener {
    char endpoint[TRI_ENDPOINT_SIZE];
    char directory[sizeof(((struct tri_endpoint *)0)->path)];
    char path[sizeof(((struct tri_endpoint *)0)->path)]; /* empty for tcp */
    dev_t device;
    ino_t inode;
    int fd;
    bool is_ipv6;
    bool is_paused;
};

/* ---- ipc ------------------------------------------------------------------------------------ */

static void set_directory(struct listener *self)
{
    char *slash;

    memcpy(self->directory, self->path, sizeof(self->directory));
    slash = strrchr(self->directory, '/');
    if (slash == NULL)
        memcpy(self->directory, ".", 2);
    else if (slash == self->directory)
        slash[1] = '\0';
    else
        *slash = '\0';
}

static enum tri_status make_default_directory(const struct listener *self, struct tri_error *error)
{
    if (strcmp(self->endpoint, TRI_ENDPOINT_DEFAULT) != 0)
        return TRI_OK;
    if (mkdir(self->directory, 0755) == 0 || errno == EEXIST)
        return TRI_OK;
    return tri_fail(error, TRI_SYSTEM,
                    "cannot make %s for the default endpoint: %s; start the broker as a service, "
                    "or choose a place with --listen ipc:///PATH",
                    self->directory, strerror(errno));
}

/* Hold the directory of the socket while looking and binding. Others hold it as briefly. */
static enum tri_status lock_directory(const struct listener *self,
                                      int *lock,
                                      struct tri_error *error)
{
    const struct timespec pause = { 0, LOCK_PAUSE_NS };
    int fd = open(self->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return tri_fail(error, TRI_SYSTEM, "cannot listen on %s: the directory %s: %s",
                        self->endpoint, self->directory, strerror(errno));
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
        if (i == LOCK_TRIES) {
            close(fd);
            return tri_fail(error, TRI_SYSTEM,
                            "cannot listen on %s: another process holds the lock on %s",
                            self->endpoint, self->directory);
        }
        nanosleep(&pause, NULL);
    }
    *lock = fd;
    return TRI_OK;
}

/* Something stands at the path: is anybody behind it? Nobody is when the kernel refuses. */
static enum tri_status remove_stale(const struct listener *self,
                                    const struct sockaddr_un *address,
                                    struct tri_error *error)
{
    struct stat found;
    int probe;
    int refused = 0;

    if (lstat(self->path, &found) != 0)
        return errno == ENOENT ? TRI_OK
                               : tri_fail(error, TRI_SYSTEM, "cannot listen on %s: %s",
                                          self->endpoint, strerror(errno));
    if (!S_ISSOCK(found.st_mode))
        return tri_fail(error, TRI_SYSTEM,
                        "cannot listen on %s: the file exists and is no socket; remove it or "
                        "choose another path",
                        self->endpoint);
    /* A broker that died with its door closed left it without permissions. */
    chmod(self->path, SOCKET_MODE);
    probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe < 0 || connect(probe, (const struct sockaddr *)address, sizeof(*address)) != 0)
        refused = errno;
    if (probe >= 0)
        close(probe);
    if (refused == 0 || refused == EAGAIN)
        return tri_fail(error, TRI_SYSTEM,
                        "cannot listen on %s: a broker is already running there; stop it first or "
                        "choose another endpoint with --listen",
                        self->endpoint);
    if (refused != ECONNREFUSED)
        return tri_fail(error, TRI_SYSTEM, "cannot tell whether a broker is running at %s: %s",
                        self->endpoint, strerror(refused));
    if (unlink(self->path) == 0 || errno == ENOENT)
        return TRI_OK;
    return tri_fail(error, TRI_SYSTEM,
                    "cannot listen on %s: the socket of a broker that is gone cannot be removed: "
                    "%s",
                    self->endpoint, strerror(errno));
}

static enum tri_status bind_path(struct listener *self,
                                 const struct sockaddr_un *address,
                                 struct tri_error *error)
{
    struct stat made;
    mode_t mask;
    int result;

    self->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (self->fd < 0)
        return tri_fail(error, TRI_SYSTEM, "no socket could be made: %s", strerror(errno));
    /* 0660 from its first moment, whatever umask the caller had. */
    mask = umask(0777 & ~SOCKET_MODE);
    result = bind(self->fd, (const struct sockaddr *)address, sizeof(*address));
    umask(mask);
    if (result != 0 || listen(self->fd, BACKLOG) != 0)
        return tri_fail(error, TRI_SYSTEM, "cannot listen on %s: %s", self->endpoint,
                        strerror(errno));
    if (lstat(self->path, &made) == 0) {
        self->device = made.st_dev;
        self->inode = made.st_ino;
    }
    return TRI_OK;
}

static enum tri_status open_ipc(struct listener *self,
                                const struct tri_endpoint *endpoint,
                                struct tri_error *error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    enum tri_status status;
    int lock = -1;

    memcpy(self->path, endpoint->path, sizeof(self->path));
    memcpy(address.sun_path, endpoint->path, sizeof(address.sun_path));
    set_directory(self);
    status = make_default_directory(self, error);
    if (status == TRI_OK)
        status = lock_directory(self, &lock, error);
    if (status == TRI_OK)
        status = remove_stale(self, &address, error);
    if (status == TRI_OK)
        status = bind_path(self, &address, error);
    if (lock >= 0)
        close(lock);
    return status;
}

/* ---- tcp ------------------------------------------------------------------------------------ */

static enum tri_status resolve(const struct tri_endpoint *endpoint,
                               struct addrinfo **found,
                               struct tri_error *error)
{
    const struct addrinfo hints = {
        .ai_family = tri_endpoint_is_ipv6(endpoint) ? AF_INET6 : AF_INET,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
    };
    bool all = strcmp(endpoint->host, "*") == 0;
    char port[8];
    int result;

    snprintf(port, sizeof(port), "%u", endpoint->port);
    result = getaddrinfo(all ? NULL : endpoint->host, port, &hints, found);
    if (result != 0)
        return tri_fail(error, TRI_SYSTEM, "cannot listen on %s: %s: %s", endpoint->text,
                        endpoint->host, gai_strerror(result));
    return TRI_OK;
}

/* "localhost" is whatever the resolver says: look at the address itself. */
static bool address_is_loopback(const struct sockaddr *address)
{
    char text[INET6_ADDRSTRLEN] = "";
    struct tri_endpoint numeric = { .transport = TRI_TRANSPORT_TCP };

    if (address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, text,
                  sizeof(text));
    else
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, text,
                  sizeof(text));
    memcpy(numeric.host, text, sizeof(text));
    return tri_endpoint_is_local(&numeric);
}

static enum tri_status bind_address(struct listener *self,
                                    const struct addrinfo *found,
                                    struct tri_error *error)
{
    const int on = 1;

    self->fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (self->fd < 0)
        return tri_fail(error, TRI_SYSTEM, "no socket could be made: %s", strerror(errno));
    setsockopt(self->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (found->ai_family == AF_INET6)
        setsockopt(self->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(self->fd, found->ai_addr, found->ai_addrlen) == 0 && listen(self->fd, BACKLOG) == 0)
        return TRI_OK;
    return tri_fail(error, TRI_SYSTEM, "cannot listen on %s: %s%s", self->endpoint, strerror(errno),
                    errno == EADDRINUSE ? "; another program uses this port, choose another one "
                                          "or * for any free one"
                                        : "");
}

static enum tri_status read_port(struct listener *self, const struct tri_endpoint *endpoint)
{
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } bound = { .ipv6 = { 0 } };
    socklen_t size = sizeof(bound);
    const char *host = strcmp(endpoint->host, "*") == 0 ? "0.0.0.0" : endpoint->host;
    unsigned port;

    if (getsockname(self->fd, &bound.any, &size) != 0)
        return TRI_SYSTEM;
    port = ntohs(bound.any.sa_family == AF_INET6 ? bound.ipv6.sin6_port : bound.ipv4.sin_port);
    snprintf(self->endpoint, sizeof(self->endpoint),
             self->is_ipv6 ? "tcp://[%s]:%u" : "tcp://%s:%u", host, port);
    return TRI_OK;
}

static enum tri_status open_tcp(struct listener *self,
                                const struct tri_endpoint *endpoint,
                                enum tri_insecure insecure,
                                struct tri_error *error)
{
    struct addrinfo *found = NULL;
    enum tri_status status = resolve(endpoint, &found, error);

    if (status != TRI_OK)
        return status;
    self->is_ipv6 = found->ai_family == AF_INET6;
    if (insecure != TRI_INSECURE_NETWORK && !address_is_loopback(found->ai_addr))
        status = tri_fail(error, TRI_DENIED,
                          "refused to listen on %s: it is not an address of loopback here",
                          endpoint->text);
    if (status == TRI_OK)
        status = bind_address(self, found, error);
    if (status == TRI_OK)
        status = read_port(self, endpoint);
    freeaddrinfo(found);
    return status;
}

/* ---- life ----------------------------------------------------------------------------------- */

enum tri_status listener_open(const struct tri_endpoint *endpoint,
                              enum tri_insecure insecure,
                              struct listener **out,
                              struct tri_error *error)
{
    enum tri_status status = tri_endpoint_may_listen(endpoint, insecure, error);
    struct listener *self;

    if (status != TRI_OK)
        return status;
    self = tri_alloc(1, sizeof(*self));
    self->fd = -1;
    memcpy(self->endpoint, endpoint->text, sizeof(self->endpoint));
    status = endpoint->transport == TRI_TRANSPORT_IPC ? open_ipc(self, endpoint, error)
                                                      : open_tcp(self, endpoint, insecure, error);
    if (status != TRI_OK) {
        listener_close(&self);
        return status;
    }
    *out = self;
    return TRI_OK;
}

void listener_close(struct listener **out)
{
    struct listener *self = *out;
    struct stat found;

    if (self == NULL)
        return;
    if (self->inode != 0 && lstat(self->path, &found) == 0 && found.st_dev == self->device
        && found.st_ino == self->inode)
        unlink(self->path);
    if (self->fd >= 0)
        close(self->fd);
    free(self);
    *out = NULL;
}

const char *listener_endpoint(const struct listener *self)
{
    return self->endpoint;
}

const char *listener_directory(const struct listener *self)
{
    return self->path[0] != '\0' ? self->directory : NULL;
}

/* ---- libzmq --------------------------------------------------------------------------------- */

enum tri_status listener_attach(struct listener *self, void *router, struct tri_error *error)
{
    const int ipv6 = self->is_ipv6;
    const int none = -1;
    int lent;
    int result;

    /* libzmq closes the descriptor it is lent. */
    lent = fcntl(self->fd, F_DUPFD_CLOEXEC, 0);
    if (lent < 0)
        return tri_fail(error, TRI_SYSTEM, "cannot listen on %s: %s", self->endpoint,
                        strerror(errno));
    zmq_setsockopt(router, ZMQ_IPV6, &ipv6, sizeof(ipv6));
    zmq_setsockopt(router, ZMQ_USE_FD, &lent, sizeof(lent));
    result = zmq_bind(router, self->endpoint);
    zmq_setsockopt(router, ZMQ_USE_FD, &none, sizeof(none));
    if (result == 0)
        return TRI_OK;
    close(lent);
    return tri_fail(error, TRI_SYSTEM, "cannot listen on %s: %s", self->endpoint,
                    zmq_strerror(errno));
}

void listener_pause(struct listener *self)
{
    struct sock_filter nothing[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
    struct sock_fprog program = { .len = 1, .filter = nothing };

    if (self->is_paused)
        return;
    self->is_paused = true;
    if (self->path[0] != '\0')
        chmod(self->path, 0);
    else
        setsockopt(self->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

void listener_resume(struct listener *self)
{
    const int none = 0;

    if (!self->is_paused)
        return;
    self->is_paused = false;
    if (self->path[0] != '\0')
        chmod(self->path, SOCKET_MODE);
    else
        setsockopt(self->fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none));
}
