#include "common/net/socket.h"

#include <errno.h>
#include <zmq.h>

void tri_socket_options_init(struct tri_socket_options *options)
{
    *options = (struct tri_socket_options){
        .message_bytes_max = TRI_MESSAGE_BYTES_MAX,
        .linger_ms = 2000,
        .send_messages_max = 0,
        .receive_messages_max = 256,
        .handshake_ms = 10000,
        .gone_ms = 30000,
        .reconnect_ms_min = 50,
        .reconnect_ms_max = 2000,
    };
}

struct setting {
    int option;
    int value;
    const char *name;
};

static enum tri_status set_all(void *socket,
                               const struct setting *settings,
                               size_t count,
                               struct tri_error *error)
{
    for (size_t i = 0; i < count; i++) {
        int value = settings[i].value;

        if (zmq_setsockopt(socket, settings[i].option, &value, sizeof(value)) != 0)
            return tri_fail(error, TRI_SYSTEM, "the socket option %s=%d was refused: %s",
                            settings[i].name, value, zmq_strerror(errno));
    }
    return TRI_OK;
}

#define SET(option, value)     \
    {                          \
        option, value, #option \
    }

static enum tri_status set_options(void *socket,
                                   int type,
                                   const struct tri_socket_options *options,
                                   struct tri_error *error)
{
    const struct setting settings[] = {
        SET(ZMQ_LINGER, options->linger_ms),
        SET(ZMQ_SNDHWM, options->send_messages_max),
        SET(ZMQ_RCVHWM, options->receive_messages_max),
        SET(ZMQ_HANDSHAKE_IVL, options->handshake_ms),
        /* A machine that is gone without a word is noticed by the kernel. libzmq's own pings would
         * notice it too, at the price of a timer for each message. */
        SET(ZMQ_TCP_KEEPALIVE, 1),
        SET(ZMQ_TCP_KEEPALIVE_IDLE, options->gone_ms / 3000),
        SET(ZMQ_TCP_KEEPALIVE_INTVL, options->gone_ms / 3000),
        SET(ZMQ_TCP_KEEPALIVE_CNT, 2),
        SET(ZMQ_TCP_MAXRT, options->gone_ms),
        SET(ZMQ_RECONNECT_IVL, options->reconnect_ms_min),
        SET(ZMQ_RECONNECT_IVL_MAX, options->reconnect_ms_max),
        SET(ZMQ_IPV6, options->ipv6),
    };
    const struct setting router[] = {
        SET(ZMQ_ROUTER_MANDATORY, 1),
        SET(ZMQ_ROUTER_HANDOVER, 0),
    };
    int64_t bytes = (int64_t)options->message_bytes_max;
    enum tri_status status;

    if (zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &bytes, sizeof(bytes)) != 0)
        return tri_fail(error, TRI_SYSTEM, "the message limit %lld was refused: %s",
                        (long long)bytes, zmq_strerror(errno));
    status = set_all(socket, settings, TRI_COUNT_OF(settings), error);
    if (status == TRI_OK && type == ZMQ_ROUTER)
        status = set_all(socket, router, TRI_COUNT_OF(router), error);
    return status;
}

enum tri_status tri_socket_open(void *context,
                                int type,
                                const struct tri_socket_options *options,
                                void **out,
                                struct tri_error *error)
{
    void *socket = zmq_socket(context, type);
    enum tri_status status;

    if (socket == NULL)
        return tri_fail(error, TRI_SYSTEM, "no socket could be made: %s", zmq_strerror(errno));
    status = set_options(socket, type, options, error);
    if (status != TRI_OK) {
        zmq_close(socket);
        return status;
    }
    *out = socket;
    return TRI_OK;
}

int tri_socket_fd(void *socket)
{
    int fd = -1;
    size_t size = sizeof(fd);

    zmq_getsockopt(socket, ZMQ_FD, &fd, &size);
    return fd;
}

bool tri_socket_is_readable(void *socket)
{
    int events = 0;
    size_t size = sizeof(events);

    return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN) != 0;
}

void tri_socket_close(void **socket)
{
    if (*socket == NULL)
        return;
    zmq_close(*socket);
    *socket = NULL;
}
