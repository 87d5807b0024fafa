/* Links: whole messages, with their frames and descriptors, however the socket tears them. */
#include "tests/unit/unit.h"
#include "worker/link.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct link left;
static struct link right;
static struct link_message got;
static struct tri_error error;

static void setup(void)
{
    int fds[2];

    ck_assert_int_eq(link_pair(fds, &error), TRI_OK);
    link_init(&left, fds[0]);
    link_init(&right, fds[1]);
}

static void teardown(void)
{
    link_deinit(&left);
    link_deinit(&right);
}

static struct tri_message numbered(uint64_t number)
{
    return (struct tri_message){ .type = TRI_MESSAGE_CREDIT,
                                 .credit = { .lease = number, .result_bytes = 7 } };
}

static void expect_number(uint64_t number)
{
    ck_assert_int_eq(got.message.type, TRI_MESSAGE_CREDIT);
    ck_assert_uint_eq(got.message.credit.lease, number);
}

static void send_number(struct link *link, uint64_t number)
{
    struct tri_message message = numbered(number);

    ck_assert_int_eq(link_send(link, &message, NULL, 0, NULL, 0, &error), TRI_OK);
}

START_TEST(messages_arrive_in_order_both_ways)
{
    for (uint64_t i = 0; i < 100; i++) {
        send_number(&left, i);
        send_number(&right, 1000 + i);
    }
    for (uint64_t i = 0; i < 100; i++) {
        ck_assert_int_eq(link_receive(&right, false, &got, &error), TRI_OK);
        expect_number(i);
        ck_assert_uint_eq(got.frame_count, 0);
        ck_assert_int_eq(link_receive(&left, true, &got, &error), TRI_OK);
        expect_number(1000 + i);
    }
    ck_assert_int_eq(link_receive(&right, false, &got, &error), TRI_EMPTY);
}
END_TEST

START_TEST(frames_arrive_whole_empty_ones_too)
{
    struct tri_message message = numbered(1);
    struct tri_bytes frames[] = { { (const uint8_t *)"abc", 3 },
                                  { NULL, 0 },
                                  { (const uint8_t *)"d", 1 } };

    ck_assert_int_eq(link_send(&left, &message, frames, 3, NULL, 0, &error), TRI_OK);
    ck_assert_int_eq(link_receive(&right, true, &got, &error), TRI_OK);
    ck_assert_uint_eq(got.frame_count, 3);
    ck_assert_mem_eq(got.frames[0].data, "abc", 3);
    ck_assert_uint_eq(got.frames[1].size, 0);
    ck_assert_uint_eq(got.frames[2].size, 1);
    ck_assert_uint_eq(got.frames[2].data[0], 'd');
}
END_TEST

/* ---- tearing -------------------------------------------------------------------------------- */

/* The bytes of one message with one frame, as they go over the socket. */
static size_t wire(uint8_t *bytes, size_t size, uint64_t number)
{
    struct tri_message message = numbered(number);
    struct tri_bytes frame = { (const uint8_t *)"payload", 7 };
    ssize_t count;

    ck_assert_int_eq(link_send(&left, &message, &frame, 1, NULL, 0, &error), TRI_OK);
    count = recv(right.fd, bytes, size, 0);
    ck_assert_int_gt(count, 0);
    return (size_t)count;
}

START_TEST(a_message_that_comes_byte_by_byte_is_empty_until_it_is_whole)
{
    uint8_t bytes[200];
    size_t size = wire(bytes, sizeof(bytes), 5);

    for (size_t i = 0; i < size; i++) {
        ck_assert_int_eq(link_receive(&right, false, &got, &error), TRI_EMPTY);
        ck_assert_int_eq(send(left.fd, bytes + i, 1, 0), 1);
    }
    ck_assert_int_eq(link_receive(&right, false, &got, &error), TRI_OK);
    expect_number(5);
    ck_assert_mem_eq(got.frames[0].data, "payload", 7);
}
END_TEST

START_TEST(an_end_in_the_middle_of_a_message_is_an_end)
{
    uint8_t bytes[200];
    size_t size = wire(bytes, sizeof(bytes), 5);

    for (size_t cut = 0; cut < size; cut++) {
        teardown();
        setup();
        if (cut > 0)
            ck_assert_int_eq(send(left.fd, bytes, cut, 0), (ssize_t)cut);
        close(left.fd);
        left.fd = -1;
        ck_assert_int_eq(link_receive(&right, true, &got, &error), TRI_CLOSED);
        ck_assert_int_eq(link_receive(&right, false, &got, &error), TRI_CLOSED);
        ck_assert(right.closed);
    }
}
END_TEST

START_TEST(what_was_sent_before_the_end_is_received)
{
    send_number(&left, 1);
    send_number(&left, 2);
    send_number(&right, 9); /* unread: the socket is reset, not just closed */
    close(left.fd);
    left.fd = -1;
    ck_assert_int_eq(link_receive(&right, true, &got, &error), TRI_OK);
    ck_assert_int_eq(link_receive(&right, true, &got, &error), TRI_OK);
    expect_number(2);
    ck_assert_int_eq(link_receive(&right, true, &got, &error), TRI_CLOSED);
}
END_TEST

START_TEST(sending_to_an_end_that_is_gone_is_closed_and_raises_no_signal)
{
    struct tri_message message = numbered(1);

    link_deinit(&right);
    ck_assert_int_eq(link_send(&left, &message, NULL, 0, NULL, 0, &error), TRI_CLOSED);
    ck_assert_int_eq(link_post(&left, &message, NULL, 0, NULL, 0, &error), TRI_CLOSED);
    ck_assert_uint_eq(link_pending(&left), 0);
}
END_TEST

/* ---- limits --------------------------------------------------------------------------------- */

static void expect_refused(const void *head, size_t size)
{
    teardown();
    setup();
    ck_assert_int_eq(send(left.fd, head, size, 0), (ssize_t)size);
    ck_assert_int_eq(link_receive(&right, true, &got, &error), TRI_INVALID);
    ck_assert_int_eq(link_receive(&right, false, &got, &error), TRI_INVALID);
}

START_TEST(a_head_out_of_bounds_is_refused)
{
    struct {
        struct link_head head;
        uint32_t sizes[LINK_PARTS_MAX];
    } claim = { .head = { 0, 0 } };

    expect_refused(&claim, sizeof(claim.head));
    claim.head.part_count = LINK_PARTS_MAX + 1;
    expect_refused(&claim, sizeof(claim.head));
    claim.head = (struct link_head){ 1, LINK_FDS_MAX + 1 };
    expect_refused(&claim, sizeof(claim.head));
    claim.head = (struct link_head){ 1, 0 };
    claim.sizes[0] = LINK_PART_BYTES_MAX + 1;
    expect_refused(&claim, 8);
    claim.head.part_count = 5;
    for (int i = 0; i < 5; i++)
        claim.sizes[i] = LINK_PART_BYTES_MAX;
    expect_refused(&claim, 24);
}
END_TEST

START_TEST(a_claimed_size_takes_no_memory)
{
    struct {
        struct link_head head;
        uint32_t size;
    } claim = { { 1, 0 }, LINK_PART_BYTES_MAX };

    ck_assert_int_eq(send(left.fd, &claim, sizeof(claim), 0), sizeof(claim));
    ck_assert_int_eq(link_receive(&right, false, &got, &error), TRI_EMPTY);
    ck_assert_uint_lt(right.in.capacity, 1 << 20);
}
END_TEST

START_TEST(descriptors_that_were_announced_and_did_not_come_are_refused)
{
    uint8_t bytes[200];
    size_t size = wire(bytes, sizeof(bytes), 5);

    ((struct link_head *)(void *)bytes)->fd_count = 1;
    ck_assert_int_eq(send(left.fd, bytes, size, 0), (ssize_t)size);
    ck_assert_int_eq(link_receive(&right, false, &got, &error), TRI_INVALID);
}
END_TEST

START_TEST(a_part_that_is_no_message_is_refused_and_the_next_one_received)
{
    uint8_t bytes[] = { 1, 0, 0, 0, 2, 0, 0, 0, 0xc1, 0xc1 };

    ck_assert_int_eq(send(left.fd, bytes, sizeof(bytes), 0), sizeof(bytes));
    send_number(&left, 3);
    ck_assert_int_eq(link_receive(&right, false, &got, &error), TRI_INVALID);
    ck_assert_int_eq(link_receive(&right, false, &got, &error), TRI_OK);
    expect_number(3);
}
END_TEST

START_TEST(a_message_over_the_limits_is_not_sent)
{
    struct tri_message message = numbered(1);
    struct tri_bytes frames[LINK_PARTS_MAX] = { { NULL, 0 } };
    static const uint8_t byte;

    ck_assert_int_eq(link_send(&left, &message, frames, LINK_PARTS_MAX, NULL, 0, &error),
                     TRI_TOO_LARGE);
    frames[0] = (struct tri_bytes){ &byte, LINK_PART_BYTES_MAX + 1 };
    ck_assert_int_eq(link_post(&left, &message, frames, 1, NULL, 0, &error), TRI_TOO_LARGE);
    ck_assert_uint_eq(link_pending(&left), 0);
    ck_assert_int_eq(link_send(&left, &message, frames + 1, LINK_PARTS_MAX - 1, NULL, 0, &error),
                     TRI_OK);
    ck_assert_int_eq(link_receive(&right, true, &got, &error), TRI_OK);
    ck_assert_uint_eq(got.frame_count, LINK_PARTS_MAX - 1);
}
END_TEST

/* ---- descriptors ---------------------------------------------------------------------------- */

static ino_t inode(int fd)
{
    struct stat about;

    ck_assert_int_eq(fstat(fd, &about), 0);
    return about.st_ino;
}

/* One end of a fresh pipe, known by its inode. */
static int token(ino_t *number)
{
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    close(fds[1]);
    *number = inode(fds[0]);
    return fds[0];
}

START_TEST(descriptors_come_with_their_message_and_close_on_exec)
{
    struct tri_message message = numbered(1);
    ino_t numbers[3];
    int fds[3];

    for (int i = 0; i < 3; i++)
        fds[i] = token(&numbers[i]);
    send_number(&left, 0);
    ck_assert_int_eq(link_send(&left, &message, NULL, 0, fds, 3, &error), TRI_OK);
    send_number(&left, 2);
    ck_assert_int_eq(link_receive(&right, true, &got, &error), TRI_OK);
    ck_assert_uint_eq(right.fd_count, 0);
    ck_assert_int_eq(link_receive(&right, true, &got, &error), TRI_OK);
    expect_number(1);
    ck_assert_uint_eq(right.fd_count, 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(inode(right.fds[i]), numbers[i]);
        ck_assert_int_eq(fcntl(right.fds[i], F_GETFD), FD_CLOEXEC);
        close(right.fds[i]);
        close(fds[i]);
    }
    ck_assert_int_eq(link_receive(&right, true, &got, &error), TRI_OK);
    ck_assert_uint_eq(right.fd_count, 0);
}
END_TEST

/* Post until the socket is full; returns how many were posted. */
static uint64_t fill(const struct tri_bytes *frame)
{
    uint64_t count = 0;

    while (link_pending(&left) == 0) {
        struct tri_message message = numbered(count++);

        ck_assert_int_eq(link_post(&left, &message, frame, 1, NULL, 0, &error), TRI_OK);
    }
    return count;
}

START_TEST(descriptors_posted_to_a_full_socket_come_with_their_messages)
{
    static uint8_t zeros[50000];
    struct tri_bytes frame = { zeros, sizeof(zeros) };
    uint64_t first = fill(&frame);
    uint64_t number = 0;
    ino_t numbers[8];

    for (uint64_t i = 0; i < 8; i++) {
        struct tri_message message = numbered(first + i);
        int fd = token(&numbers[i]);

        ck_assert_int_eq(link_post(&left, &message, i % 2 ? &frame : NULL, i % 2, &fd, 1, &error),
                         TRI_OK);
        close(fd);
    }
    while (number < first + 8) {
        enum tri_status status = link_receive(&right, false, &got, &error);

        ck_assert_int_eq(link_flush(&left, &error), TRI_OK);
        if (status == TRI_EMPTY)
            continue;
        ck_assert_int_eq(status, TRI_OK);
        expect_number(number);
        ck_assert_uint_eq(right.fd_count, number >= first);
        if (number >= first) {
            ck_assert_uint_eq(inode(right.fds[0]), numbers[number - first]);
            close(right.fds[0]);
        }
        number++;
    }
    ck_assert_uint_eq(link_pending(&left), 0);
}
END_TEST

static int lowest_free(void)
{
    int fd = dup(0);

    close(fd);
    return fd;
}

START_TEST(descriptors_nobody_received_are_closed_with_the_link)
{
    int before = lowest_free();
    struct tri_message message = numbered(1);
    uint8_t half[] = { 1, 0, 1, 0, 20, 0, 0, 0 };
    int fds[] = { 0, 1 };

    teardown();
    setup();
    ck_assert_int_eq(link_send(&left, &message, NULL, 0, fds, 2, &error), TRI_OK);
    ck_assert_int_eq(link_receive(&right, true, &got, &error), TRI_OK);
    close(right.fds[0]);
    close(right.fds[1]);
    /* Half a message, and a whole one behind it that is never looked at. */
    ck_assert_int_eq(link_send(&left, &message, NULL, 0, fds, 2, &error), TRI_OK);
    ck_assert_int_eq(send(left.fd, half, sizeof(half), 0), sizeof(half));
    teardown();
    setup();
    ck_assert_int_eq(lowest_free(), before);
}
END_TEST

/* ---- sizes ---------------------------------------------------------------------------------- */

struct stream {
    struct link *link;
    unsigned seed;
    int count;
    bool post;
};

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Mostly small, at times some hundred KiB. */
static size_t random_size(uint32_t *state)
{
    uint32_t shape = next(state) % 16;

    if (shape == 0)
        return next(state) % 700000;
    return shape < 8 ? next(state) % 64 : next(state) % 5000;
}

static uint8_t *noise(uint32_t seed, size_t size)
{
    uint8_t *data = malloc(size + 1);

    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(seed + i * 31 + i / 253);
    return data;
}

/* Send `count` messages of random frames; the same seed tells a receiver what they are. */
static void *pour(void *context)
{
    struct stream *stream = context;
    uint32_t state = stream->seed;

    for (int i = 0; i < stream->count; i++) {
        struct tri_message message = numbered((uint64_t)i);
        struct tri_bytes frames[6];
        size_t frame_count = next(&state) % 6;
        int zero = 0;
        size_t fd_count = next(&state) % 8 == 0;

        for (size_t f = 0; f < frame_count; f++) {
            frames[f].size = random_size(&state);
            frames[f].data = noise((uint32_t)i + (uint32_t)f, frames[f].size);
        }
        ck_assert_int_eq((stream->post ? link_post : link_send)(stream->link, &message, frames,
                                                                frame_count, &zero, fd_count, NULL),
                         TRI_OK);
        for (size_t f = 0; f < frame_count; f++)
            free((void *)(uintptr_t)frames[f].data);
    }
    return NULL;
}

static void expect_noise(const struct tri_bytes *frame, uint32_t seed, uint32_t *state)
{
    size_t size = random_size(state);
    uint8_t *data = noise(seed, size);

    ck_assert_uint_eq(frame->size, size);
    ck_assert(size == 0 || memcmp(frame->data, data, size) == 0);
    free(data);
}

static void expect_next(struct link *link, int i, uint32_t *state)
{
    size_t frame_count = next(state) % 6;
    size_t fd_count = next(state) % 8 == 0;

    expect_number((uint64_t)i);
    ck_assert_uint_eq(got.frame_count, frame_count);
    ck_assert_uint_eq(link->fd_count, fd_count);
    if (fd_count > 0)
        close(link->fds[0]);
    for (size_t f = 0; f < frame_count; f++)
        expect_noise(&got.frames[f], (uint32_t)i + (uint32_t)f, state);
}

START_TEST(frames_of_any_size_arrive_as_they_were_sent)
{
    struct stream stream = { &left, 12345u + (unsigned)_i, 300, false };
    uint32_t state = stream.seed;
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, pour, &stream), 0);
    for (int i = 0; i < stream.count; i++) {
        ck_assert_int_eq(link_receive(&right, true, &got, &error), TRI_OK);
        expect_next(&right, i, &state);
    }
    pthread_join(thread, NULL);
    ck_assert_int_eq(link_receive(&right, false, &got, &error), TRI_EMPTY);
}
END_TEST

START_TEST(frames_of_any_size_arrive_as_they_were_posted)
{
    struct stream stream = { &left, 777u + (unsigned)_i, 200, true };
    uint32_t state = stream.seed;
    int i = 0;

    pour(&stream);
    ck_assert_uint_gt(link_pending(&left), 0);
    while (i < stream.count) {
        enum tri_status status = link_receive(&right, false, &got, &error);

        if (status == TRI_OK)
            expect_next(&right, i++, &state);
        else
            ck_assert_int_eq(status, TRI_EMPTY);
        ck_assert_int_eq(link_flush(&left, &error), TRI_OK);
    }
    ck_assert_uint_eq(link_pending(&left), 0);
}
END_TEST

START_TEST(a_large_frame_leaves_no_large_buffers)
{
    size_t size = 20 << 20;
    uint8_t *data = noise(1, size);
    struct tri_bytes frame = { data, size };
    struct tri_message message = numbered(1);

    ck_assert_int_eq(link_post(&left, &message, &frame, 1, NULL, 0, &error), TRI_OK);
    while (link_receive(&right, false, &got, &error) == TRI_EMPTY)
        ck_assert_int_eq(link_flush(&left, &error), TRI_OK);
    ck_assert_uint_eq(got.frames[0].size, size);
    ck_assert_mem_eq(got.frames[0].data, data, size);
    ck_assert_int_eq(link_flush(&left, &error), TRI_OK);
    send_number(&left, 2);
    ck_assert_int_eq(link_receive(&right, true, &got, &error), TRI_OK);
    ck_assert_uint_lt(right.in.capacity, 1 << 20);
    ck_assert_uint_lt(left.out.capacity, 1 << 20);
    free(data);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("link");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, messages_arrive_in_order_both_ways);
    tcase_add_test(tcase, frames_arrive_whole_empty_ones_too);
    tcase_add_test(tcase, a_message_that_comes_byte_by_byte_is_empty_until_it_is_whole);
    tcase_add_test(tcase, an_end_in_the_middle_of_a_message_is_an_end);
    tcase_add_test(tcase, what_was_sent_before_the_end_is_received);
    tcase_add_test(tcase, sending_to_an_end_that_is_gone_is_closed_and_raises_no_signal);
    tcase_add_test(tcase, a_head_out_of_bounds_is_refused);
    tcase_add_test(tcase, a_claimed_size_takes_no_memory);
    tcase_add_test(tcase, descriptors_that_were_announced_and_did_not_come_are_refused);
    tcase_add_test(tcase, a_part_that_is_no_message_is_refused_and_the_next_one_received);
    tcase_add_test(tcase, a_message_over_the_limits_is_not_sent);
    tcase_add_test(tcase, descriptors_come_with_their_message_and_close_on_exec);
    tcase_add_test(tcase, descriptors_posted_to_a_full_socket_come_with_their_messages);
    tcase_add_test(tcase, descriptors_nobody_received_are_closed_with_the_link);
    tcase_add_loop_test(tcase, frames_of_any_size_arrive_as_they_were_sent, 0, 4);
    tcase_add_loop_test(tcase, frames_of_any_size_arrive_as_they_were_posted, 0, 4);
    tcase_add_test(tcase, a_large_frame_leaves_no_large_buffers);
    return unit_run("link", tcase);
}
