/* commands [COUNT [AT_ONCE]]: the launcher alone - run `/bin/true N` COUNT times, AT_ONCE (2) at a
 * time, as asked by one host, each captured, reaped and seen to have left nothing. Between this and
 * limit_commands lies the launcher, between this and `trireme run -- /bin/true` the rest. */
#include "bench/bench.h"
#include "worker/host.h"
#include "worker/launcher.h"

#include <sys/mman.h>
#include <unistd.h>

static struct link_message message;

static void ask(struct link *link, uint64_t id)
{
    char argument[24];
    struct tri_rec_text word = { .text = tri_bytes_of("/bin/true") };
    struct tri_buffer words = { 0 };
    struct tri_message run = { .type = TRI_MESSAGE_RUN, .run = { .id = id } };

    snprintf(argument, sizeof(argument), "%llu", (unsigned long long)id);
    tri_record_encode(TRI_RECORD_TEXT, &word, &words);
    word.text = tri_bytes_of(argument);
    tri_record_encode(TRI_RECORD_TEXT, &word, &words);
    run.run.argv = tri_list_of(&words, 2);
    BENCH_CHECK(link_send(link, &run, NULL, 0, NULL, 0, NULL) == TRI_OK);
    tri_buffer_deinit(&words);
}

/* The host: CREDIT says how many commands, and how many at once. */
int host_main(const struct host_setup *setup)
{
    struct link session;
    struct link launcher;
    struct tri_msg_credit order;
    struct tri_message done = { .type = TRI_MESSAGE_CREDIT };
    uint64_t asked = 0;
    uint64_t begin;

    link_init(&session, setup->link_fd);
    link_init(&launcher, setup->command_fd);
    BENCH_CHECK(link_receive(&session, true, &message, NULL) == TRI_OK);
    order = message.message.credit;
    begin = bench_now_ns();
    while (asked < order.result_bytes && asked < order.lease)
        ask(&launcher, asked++);
    for (uint64_t i = 0; i < order.lease; i++) {
        BENCH_CHECK(link_receive(&launcher, true, &message, NULL) == TRI_OK);
        BENCH_CHECK(message.message.type == TRI_MESSAGE_RAN);
        BENCH_CHECK(message.message.ran.status == TRI_OK && message.message.ran.wait_status == 0);
        if (asked < order.lease)
            ask(&launcher, asked++);
    }
    done.credit.lease = bench_now_ns() - begin;
    BENCH_CHECK(link_send(&session, &done, NULL, 0, NULL, 0, NULL) == TRI_OK);
    return 0;
}

int main(int argc, char **argv)
{
    struct launcher_options options = { .program = NULL };
    struct tri_message order = { .type = TRI_MESSAGE_CREDIT };
    struct launcher launcher;
    struct tri_error error;
    struct link host;
    int table;
    int fds[2];

    launcher_take_role(argc, argv);
    order.credit.lease = argc > 1 ? (uint64_t)atol(argv[1]) : 3000;
    order.credit.result_bytes = argc > 2 ? (uint64_t)atol(argv[2]) : 2;
    table = memfd_create("table", MFD_CLOEXEC);
    BENCH_CHECK(table >= 0 && launcher_open(&launcher, &options, &error) == TRI_OK);
    BENCH_CHECK(link_pair(fds, &error) == TRI_OK);
    BENCH_CHECK(launcher_start_host(&launcher, 1, false, tri_bytes_of(""), fds[1], table, &error)
                == TRI_OK);
    close(fds[1]);
    link_init(&host, fds[0]);
    BENCH_CHECK(link_send(&host, &order, NULL, 0, NULL, 0, &error) == TRI_OK);
    BENCH_CHECK(link_receive(&host, true, &message, &error) == TRI_OK);
    printf("commands/s %.0f\n",
           (double)order.credit.lease * 1e9 / (double)message.message.credit.lease);
    link_deinit(&host);
    launcher_close(&launcher);
    return 0;
}
