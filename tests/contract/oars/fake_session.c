#include "fake_session.h"

#include "common/assert.h"
#include "common/proto/chunk.h"
#include "worker/host.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum tri_model model_under_test = TRI_MODEL_THREAD;

static int hold_pipe[2];
static int begun_pipe[2];

/* ---- the host ------------------------------------------------------------------------------- */

static struct tri_bytes text_or_none(const char *text)
{
    return tri_bytes_of(text != NULL ? text : "");
}

static void send(struct fake *self, const struct tri_message *message)
{
    ck_assert_int_eq(link_send(&self->link, message, NULL, 0, NULL, 0, NULL), TRI_OK);
}

static void send_batch(struct fake *self, const struct fake_options *options, uint64_t count)
{
    static const uint8_t uuid[16];
    struct tri_rec_spec spec = {
        .handler = text_or_none(options->handler),
        .source = options->source,
        .first = options->first,
        .step = options->step != 0 ? options->step : 1,
        .count = count,
        .timeout_ms = options->timeout_ms,
        .reducer = text_or_none(options->reducer),
        .flags = options->flags,
        .output_bytes_max = options->output_bytes_max,
    };
    struct tri_message message = { .type = TRI_MESSAGE_BATCH };
    struct tri_buffer bytes;

    tri_buffer_init(&bytes);
    tri_record_encode(TRI_RECORD_SPEC, &spec, &bytes);
    message.batch.number = 7;
    message.batch.batch = (struct tri_bytes){ uuid, sizeof(uuid) };
    message.batch.spec = tri_buffer_bytes(&bytes);
    send(self, &message);
    tri_buffer_deinit(&bytes);
    message = (struct tri_message){ .type = TRI_MESSAGE_OARS };
    message.oars.number = 7;
    message.oars.width = self->table->width;
    message.oars.model = self->model;
    message.oars.reason = tri_bytes_of("because");
    send(self, &message);
}

static int make_table(struct fake *self, unsigned width)
{
    size_t size = sizeof(struct host_table) + width * sizeof(struct host_slot);
    int fd = memfd_create("table", MFD_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
    self->table = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(self->table, MAP_FAILED);
    self->table->version = 1;
    self->table->width = width;
    atomic_store(&self->table->culprit, -1);
    atomic_store(&self->table->running, -1);
    return fd;
}

void fake_open(struct fake *self, const struct fake_options *options, uint64_t count)
{
    int fds[2];
    int command[2];
    int table;

    *self = (struct fake){ .model = model_under_test, .count = count };
    self->accounts = tri_alloc(count + 1, sizeof(*self->accounts));
    if (options->reducer != NULL)
        self->reducer = tri_reducer_new(options->reducer, NULL);
    ck_assert_int_eq(link_pair(fds, NULL), TRI_OK);
    ck_assert_int_eq(link_pair(command, NULL), TRI_OK);
    ck_assert_int_eq(pipe(hold_pipe) | pipe(begun_pipe), 0);
    ck_assert_int_eq(fcntl(hold_pipe[0], F_SETFL, O_NONBLOCK), 0);
    table = make_table(self, self->model == TRI_MODEL_PROCESS ? 1 : options->width);
    self->pid = fork();
    ck_assert_int_ge(self->pid, 0);
    if (self->pid == 0) {
        struct host_setup setup = {
            .link_fd = fds[1], .table_fd = table, .command_fd = command[1], .plugin = ""
        };

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(fds[0]);
        close(command[0]);
        close(hold_pipe[1]);
        close(begun_pipe[0]);
        if (options->descriptors_max != 0)
            setrlimit(RLIMIT_NOFILE,
                      &(struct rlimit){ options->descriptors_max, options->descriptors_max });
        fake_handlers_register(hold_pipe, begun_pipe);
        _exit(host_main(&setup));
    }
    close(fds[1]);
    close(command[1]);
    close(table);
    close(hold_pipe[0]);
    close(begun_pipe[1]);
    link_init(&self->link, fds[0]);
    link_init(&self->command, command[0]);
    send_batch(self, options, count);
}

static void account_deinit(struct account *account)
{
    tri_buffer_deinit(&account->value);
    free(account->error);
}

static void forget(struct fake *self)
{
    for (uint64_t i = 0; i < self->count; i++)
        account_deinit(&self->accounts[i]);
    free(self->accounts);
    tri_reducer_destroy(&self->reducer);
    link_deinit(&self->link);
    link_deinit(&self->command);
    close(hold_pipe[1]);
    close(begun_pipe[0]);
}

void fake_close(struct fake *self)
{
    int status;

    forget(self);
    ck_assert_int_eq(waitpid(self->pid, &status, 0), self->pid);
    ck_assert_msg(status == 0, "the host ended with wait status %d", status);
}

int fake_bury(struct fake *self)
{
    int status;

    while (fake_step(self))
        ;
    ck_assert_int_eq(waitpid(self->pid, &status, 0), self->pid);
    forget(self);
    return status;
}

void fake_let_go(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(write(hold_pipe[1], "x", 1), 1);
}

void fake_expect_begun(unsigned count)
{
    char byte;

    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(read(begun_pipe[0], &byte, 1), 1);
}

/* ---- leases --------------------------------------------------------------------------------- */

static struct tri_message lease_message(struct fake *self, uint64_t first, uint64_t count)
{
    struct tri_message message = { .type = TRI_MESSAGE_LEASE };

    ck_assert_uint_le(first + count, self->count);
    for (uint64_t i = first; i < first + count; i++)
        self->accounts[i].fate = FATE_OPEN;
    self->open += count;
    message.lease.lease = ++self->next_lease;
    message.lease.number = 7;
    message.lease.generation = 3;
    message.lease.first = first;
    message.lease.count = count;
    message.lease.attempt = 2;
    return message;
}

uint64_t fake_lease(struct fake *self, uint64_t first, uint64_t count)
{
    struct tri_message message = lease_message(self, first, count);

    send(self, &message);
    return message.lease.lease;
}

uint64_t fake_lease_items(struct fake *self,
                          uint64_t first,
                          const struct tri_value *values,
                          uint64_t count,
                          uint64_t chunk)
{
    struct tri_message message = lease_message(self, first, count);
    struct tri_buffer buffers[LINK_PARTS_MAX];
    struct tri_bytes frames[LINK_PARTS_MAX];
    size_t frame_count = 0;

    for (uint64_t at = 0; at < count; frame_count++) {
        struct tri_chunk_builder builder;
        uint64_t end = chunk != 0 && at + chunk < count ? at + chunk : count;

        tri_chunk_builder_init(&builder);
        for (; at < end; at++) {
            tri_value_pack(&builder.blob, &values[at]);
            tri_chunk_builder_close_value(&builder);
        }
        tri_buffer_init(&buffers[frame_count]);
        tri_items_encode(&builder, &buffers[frame_count]);
        frames[frame_count] = tri_buffer_bytes(&buffers[frame_count]);
        tri_chunk_builder_deinit(&builder);
    }
    ck_assert_int_eq(link_send(&self->link, &message, frames, frame_count, NULL, 0, NULL), TRI_OK);
    for (size_t i = 0; i < frame_count; i++)
        tri_buffer_deinit(&buffers[i]);
    return message.lease.lease;
}

void fake_revoke(struct fake *self, uint64_t lease, uint64_t first, uint64_t count)
{
    struct tri_message message = { .type = TRI_MESSAGE_REVOKE };

    message.revoke.lease = lease;
    message.revoke.first = first;
    message.revoke.count = count;
    send(self, &message);
}

void fake_cancel(struct fake *self, uint64_t lease, uint64_t first, uint64_t count)
{
    struct tri_message message = { .type = TRI_MESSAGE_CANCEL_LEASE };
    struct tri_range range = { first, count };

    message.cancel_lease.lease = lease;
    message.cancel_lease.ranges = tri_ranges_of(&range, count != 0);
    send(self, &message);
}

void fake_open_items(
    struct fake *self, const char *handler, unsigned width, uint64_t timeout_ms, uint64_t count)
{
    fake_open(self,
              &(struct fake_options){ .handler = handler,
                                      .width = width,
                                      .source = TRI_SOURCE_ITEMS,
                                      .timeout_ms = timeout_ms },
              count);
}

void fake_lease_texts(struct fake *self, const char *const *texts, uint64_t count)
{
    struct tri_value values[64];

    for (uint64_t i = 0; i < count; i++)
        values[i] = tri_value_string(texts[i], strlen(texts[i]));
    fake_lease_items(self, 0, values, count, 0);
}
