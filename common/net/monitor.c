#include "common/net/monitor.h"

#include "common/net/socket.h"

#include <errno.h>
#include <string.h>
#include <zmq.h>

enum tri_status tri_monitor_open(void *context,
                                 void *socket,
                                 const char *address,
                                 int events,
                                 void **monitor,
                                 struct tri_error *error)
{
    const int none = 0;
    void *made = zmq_socket(context, ZMQ_PAIR);
    enum tri_status status;

    if (made == NULL)
        return tri_fail(error, TRI_SYSTEM, "no socket could be made: %s", zmq_strerror(errno));
    /* Without a mark: libzmq's thread would block at it. */
    zmq_setsockopt(made, ZMQ_RCVHWM, &none, sizeof(none));
    zmq_setsockopt(made, ZMQ_LINGER, &none, sizeof(none));
    if (zmq_socket_monitor(socket, address, events) == 0 && zmq_connect(made, address) == 0) {
        *monitor = made;
        return TRI_OK;
    }
    status = tri_fail(error, TRI_SYSTEM, "connections cannot be watched: %s", zmq_strerror(errno));
    tri_monitor_close(socket, &made);
    return status;
}

/* Frame 0 holds the event and a value, frame 1 the address. */
bool tri_monitor_next(void *monitor, unsigned *event)
{
    zmq_msg_t frame;
    uint16_t first;
    bool found = false;

    zmq_msg_init(&frame);
    while (!found && zmq_msg_recv(&frame, monitor, ZMQ_DONTWAIT) >= 0) {
        found = zmq_msg_size(&frame) >= sizeof(first);
        if (found) {
            memcpy(&first, zmq_msg_data(&frame), sizeof(first));
            *event = first;
        }
        while (zmq_msg_more(&frame) && zmq_msg_recv(&frame, monitor, ZMQ_DONTWAIT) >= 0)
            continue;
    }
    zmq_msg_close(&frame);
    return found;
}

void tri_monitor_close(void *socket, void **monitor)
{
    if (*monitor == NULL)
        return;
    zmq_socket_monitor(socket, NULL, 0);
    tri_socket_close(monitor);
}
