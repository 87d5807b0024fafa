/* What a thread asks of others: commands of the launcher, HTTP of libcurl. It waits for either
 * with its eventfd beside, so that it can be stopped. */
#include "worker/oars/thread.h"

#include "common/assert.h"

#include <poll.h>

/* ---- commands ------------------------------------------------------------------------------- */

static void wake_caller(struct command_call *call)
{
    rower_wake(call->task->rower);
}

/* Under the client's lock, let go in between: wait for something to happen. One of those who wait
 * reads the link, for all. */
static void wait_for_launcher(struct command_client *client, struct rower *self)
{
    bool reads = client->reader == NULL;
    struct pollfd fds[2] = { { .fd = self->wake_fd, .events = POLLIN },
                             { .fd = client->link.fd, .events = POLLIN } };

    if (reads)
        client->reader = self;
    pthread_mutex_unlock(&client->lock);
    if (poll(fds, reads ? 2 : 1, -1) > 0) {
        if (reads && fds[1].revents != 0)
            command_receive(client, wake_caller);
        if (fds[0].revents != 0)
            rower_drain(self);
    }
    pthread_mutex_lock(&client->lock);
    if (reads)
        client->reader = NULL;
}

/* Somebody else who waits is to read now. */
static void pass_on(struct command_client *client)
{
    struct tri_dlist_node *node = tri_dlist_first(&client->calls);

    if (client->reader == NULL && node != NULL)
        rower_wake(tri_container_of(node, struct command_call, node)->task->rower);
}

enum tri_status thread_command(struct tri_task *task,
                               const struct tri_command *command,
                               uint64_t output_bytes_max,
                               struct command_call *call)
{
    struct command_client *client = &task->rower->host->commands;
    enum tri_status status = TRI_CANCELLED;

    if (task_is_stopped(task))
        return status;
    pthread_mutex_lock(&client->lock);
    command_send(client, call, command, output_bytes_max);
    while (!call->done) {
        if (task_is_stopped(task)) {
            atomic_store(&task->winding_up, true);
            command_stop(client, call);
        }
        wait_for_launcher(client, task->rower);
    }
    status = call->stopped ? TRI_CANCELLED : TRI_OK;
    pass_on(client);
    pthread_mutex_unlock(&client->lock);
    atomic_store(&task->winding_up, false);
    return status;
}

/* ---- HTTP ----------------------------------------------------------------------------------- */

enum tri_status thread_transfer(struct tri_task *task, struct transfer *transfer)
{
    struct http_pool *pool = &task->rower->http;
    struct curl_waitfd wake = { .fd = task->rower->wake_fd, .events = CURL_WAIT_POLLIN };
    enum tri_status status = TRI_OK;
    CURLMsg *message = NULL;
    int running = 1;
    int left;

    if (pool->multi == NULL)
        pool->multi = curl_multi_init();
    tri_assert(pool->multi != NULL);
    curl_multi_add_handle(pool->multi, transfer->easy);
    while (running != 0 && status == TRI_OK) {
        if (curl_multi_perform(pool->multi, &running) != CURLM_OK || running == 0)
            break;
        wake.revents = 0;
        curl_multi_poll(pool->multi, &wake, 1, 60000, NULL);
        if (wake.revents != 0)
            rower_drain(task->rower);
        if (task_is_stopped(task))
            status = TRI_CANCELLED;
    }
    transfer->code = CURLE_FAILED_INIT;
    while ((message = curl_multi_info_read(pool->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE)
            transfer->code = message->data.result;
    }
    curl_multi_remove_handle(pool->multi, transfer->easy);
    return status;
}
