#include "tests/e2e/broker/peer.h"

#include "common/net/socket.h"
#include "tests/e2e/broker/process.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static const struct tri_parts_limits limits = { .frames_max = 64, .bytes_max = 1 << 28 };

static struct peer open_with(const char *endpoint, void *context, int receive_messages_max)
{
    struct peer self = { .context = context };
    struct tri_socket_options options;
    struct tri_error error;

    if (context == NULL)
        self.context = zmq_ctx_new();
    tri_socket_options_init(&options);
    options.linger_ms = 0;
    options.receive_messages_max = receive_messages_max;
    ck_assert_int_eq(tri_socket_open(self.context, ZMQ_DEALER, &options, &self.socket, &error),
                     TRI_OK);
    if (context != NULL)
        self.context = NULL;
    ck_assert_int_eq(zmq_connect(self.socket, endpoint), 0);
    ck_assert_int_eq(getrandom(&self.instance, sizeof(self.instance), 0), sizeof(self.instance));
    tri_parts_init(&self.parts);
    return self;
}

struct peer peer_open(const char *endpoint, void *context)
{
    return open_with(endpoint, context, 256);
}

struct peer peer_open_deaf(const char *endpoint)
{
    return open_with(endpoint, NULL, 1);
}

void peer_close(struct peer *self)
{
    tri_parts_deinit(&self->parts);
    tri_socket_close(&self->socket);
    if (self->context != NULL)
        zmq_ctx_term(self->context);
    self->context = NULL;
}

static void send_all(struct peer *self, zmq_msg_t *frames, size_t count)
{
    struct tri_error error;

    ck_assert_int_eq(tri_parts_send(self->socket, frames, count, &error), TRI_OK);
}

void peer_send_payload(struct peer *self,
                       const struct tri_message *message,
                       struct tri_bytes payload)
{
    struct tri_buffer buffer;
    zmq_msg_t frames[2];

    tri_buffer_init(&buffer);
    tri_message_encode(message, &buffer);
    ck_assert_int_eq(tri_msg_copy(&frames[0], tri_buffer_bytes(&buffer)), TRI_OK);
    tri_buffer_deinit(&buffer);
    if (payload.data != NULL)
        ck_assert_int_eq(tri_msg_copy(&frames[1], payload), TRI_OK);
    send_all(self, frames, payload.data != NULL ? 2 : 1);
}

void peer_send(struct peer *self, const struct tri_message *message)
{
    peer_send_payload(self, message, (struct tri_bytes){ 0 });
}

void peer_send_raw(struct peer *self, const void *bytes, size_t size, size_t count)
{
    zmq_msg_t frames[64];

    ck_assert_uint_le(count, TRI_COUNT_OF(frames));
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(tri_msg_copy(&frames[i], (struct tri_bytes){ bytes, size }), TRI_OK);
    send_all(self, frames, count);
}

static struct tri_message hello(const struct peer *self, enum tri_role role)
{
    return (struct tri_message){
        .type = TRI_MESSAGE_HELLO,
        .hello = {
            .version_min = TRI_PROTOCOL_VERSION,
            .version_max = TRI_PROTOCOL_VERSION,
            .role = role,
            .instance = { self->instance.bytes, sizeof(self->instance.bytes) },
            .name = tri_bytes_of(role == TRI_ROLE_WORKER ? "worker" : "client"),
            .software = tri_bytes_of("test/1"),
            .pid = (uint64_t)getpid(),
            .width = role == TRI_ROLE_WORKER ? 1 : 0,
        },
    };
}

void peer_hello(struct peer *self, enum tri_role role)
{
    struct tri_message message = hello(self, role);

    peer_send(self, &message);
}

void peer_heartbeat(struct peer *self, uint64_t seq)
{
    struct tri_message message = { .type = TRI_MESSAGE_HEARTBEAT, .heartbeat = { .seq = seq } };

    peer_send(self, &message);
}

/* The next message, or false after `ms`. */
static bool receive(struct peer *self, int ms)
{
    zmq_pollitem_t item = { .socket = self->socket, .events = ZMQ_POLLIN };
    struct tri_error error;

    if (zmq_poll(&item, 1, ms) <= 0)
        return false;
    ck_assert_int_eq(tri_parts_receive(&self->parts, self->socket, 0, &limits, &error), TRI_OK);
    ck_assert_msg(tri_message_decode(tri_msg_bytes(&self->parts.frames[0]), &self->message, &error)
                      == TRI_OK,
                  "the broker's message cannot be decoded: %s", error.text);
    return true;
}

bool peer_is_readable(struct peer *self)
{
    zmq_pollitem_t item = { .socket = self->socket, .events = ZMQ_POLLIN };

    return zmq_poll(&item, 1, 0) > 0;
}

const struct tri_message *peer_next(struct peer *self)
{
    if (!receive(self, PATIENCE_MS))
        ck_abort_msg("no message ever comes");
    return &self->message;
}

const struct tri_message *peer_expect(struct peer *self, enum tri_message_type type)
{
    if (!receive(self, PATIENCE_MS))
        ck_abort_msg("%s never comes", tri_message_name(type));
    ck_assert_msg(self->message.type == type, "%s came, not %s",
                  tri_message_name(self->message.type), tri_message_name(type));
    return &self->message;
}

const struct tri_message *peer_await(struct peer *self, enum tri_message_type type)
{
    do {
        if (!receive(self, PATIENCE_MS))
            ck_abort_msg("%s never comes", tri_message_name(type));
    } while (self->message.type != type);
    return &self->message;
}

const struct tri_message *peer_expect_error(struct peer *self, enum tri_status status)
{
    const struct tri_message *message = peer_expect(self, TRI_MESSAGE_ERROR);

    ck_assert_msg(message->error.status == status, "status %s, not %s: %.*s",
                  tri_status_name((enum tri_status)message->error.status), tri_status_name(status),
                  (int)message->error.text.size, (const char *)message->error.text.data);
    return message;
}

void peer_expect_silence(struct peer *self, int ms)
{
    if (receive(self, ms))
        ck_abort_msg("%s came, nothing was wanted", tri_message_name(self->message.type));
}

void peer_join(struct peer *self, enum tri_role role)
{
    peer_hello(self, role);
    peer_expect(self, TRI_MESSAGE_WELCOME);
}

void peer_join_worker(struct peer *self)
{
    const struct tri_rec_handler echo = { .name = tri_bytes_of("echo") };
    struct tri_message message = hello(self, TRI_ROLE_WORKER);
    struct tri_buffer handlers;

    tri_buffer_init(&handlers);
    tri_record_encode(TRI_RECORD_HANDLER, &echo, &handlers);
    message.hello.handlers = tri_list_of(&handlers, 1);
    peer_send(self, &message);
    tri_buffer_deinit(&handlers);
    peer_expect(self, TRI_MESSAGE_WELCOME);
}

uint64_t peer_submit_large(struct peer *self, size_t bytes)
{
    enum { LINE = 100000 };
    struct tri_rec_text line = { .text = { .data = calloc(1, LINE), .size = LINE } };
    struct tri_rec_spec spec = { .handler = tri_bytes_of("echo"), .count = 10, .step = 1 };
    struct tri_message submit = { .type = TRI_MESSAGE_SUBMIT };
    struct tri_buffer argv;
    struct tri_buffer encoded;

    tri_buffer_init(&argv);
    tri_buffer_init(&encoded);
    for (; spec.argv.count * LINE < bytes; spec.argv.count++)
        tri_record_encode(TRI_RECORD_TEXT, &line, &argv);
    spec.argv = tri_list_of(&argv, spec.argv.count);
    tri_record_encode(TRI_RECORD_SPEC, &spec, &encoded);
    submit.submit.request = 1;
    submit.submit.batch = (struct tri_bytes){ self->instance.bytes, 16 };
    submit.submit.spec = tri_buffer_bytes(&encoded);
    peer_send(self, &submit);
    free((void *)(uintptr_t)line.text.data);
    tri_buffer_deinit(&argv);
    tri_buffer_deinit(&encoded);
    return peer_await(self, TRI_MESSAGE_ACCEPTED)->accepted.number;
}

void peer_ask(struct peer *self, uint64_t number, uint64_t times)
{
    struct tri_message show = { .type = TRI_MESSAGE_SHOW,
                                .show = { .number = number, .limit = 1 } };

    for (uint64_t i = 0; i < times; i++) {
        show.show.request = i + 2;
        peer_send(self, &show);
    }
}
