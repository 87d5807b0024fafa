/* What a coroutine asks of others: commands, whose link is on the loop, and HTTP, which has a
 * thread of its own: curl_multi_poll there beats libcurl's socket callbacks here three to one. */
#include "worker/oars/async.h"

#include "common/assert.h"

#include <stdlib.h>

/* ---- commands ------------------------------------------------------------------------------- */

static void wake_caller(struct command_call *call)
{
    oar_wake(oar_of(call->task), TRI_OK);
}

static void on_command(uv_poll_t *poll, int status, int events)
{
    struct async_loop *loop = tri_container_of(poll->loop, struct async_loop, uv);
    struct command_client *client = &loop->rower.host->commands;

    (void)status;
    (void)events;
    command_receive(client, wake_caller);
    if (client->link.closed)
        uv_poll_stop(poll); /* readable for ever */
}

static void watch_commands(struct async_loop *loop)
{
    if (loop->commands_watched)
        return;
    loop->commands_watched = true;
    tri_assert(uv_poll_init(&loop->uv, &loop->commands, loop->rower.host->commands.link.fd) == 0);
    uv_poll_start(&loop->commands, UV_READABLE | UV_DISCONNECT, on_command);
}

enum tri_status async_command(struct tri_task *task,
                              const struct tri_command *command,
                              uint64_t output_bytes_max,
                              struct command_call *call)
{
    struct oar *oar = oar_of(task);
    struct command_client *client = &task->rower->host->commands;
    enum tri_status status = TRI_CANCELLED;

    oar_enter(oar);
    if (!task_is_stopped(task)) {
        watch_commands(oar->loop);
        pthread_mutex_lock(&client->lock);
        command_send(client, call, command, output_bytes_max);
        pthread_mutex_unlock(&client->lock);
        status = TRI_OK;
        while (!call->done) {
            status = oar_wait(oar);
            if (status == TRI_OK || call->done)
                break;
            pthread_mutex_lock(&client->lock);
            command_stop(client, call);
            pthread_mutex_unlock(&client->lock);
            oar->deaf = true;
        }
        oar->deaf = false;
        if (call->stopped)
            status = TRI_CANCELLED;
    }
    oar_leave(oar);
    return status;
}

/* ---- HTTP ----------------------------------------------------------------------------------- */

/* A transfer on its way through the HTTP thread; it lives on the coroutine's stack. */
struct errand {
    struct letter letter;           /* back to the loop */
    struct tri_dlist_node node;     /* in http->fresh */
    struct tri_dlist_node given_up; /* in http->given_up */
    struct transfer *transfer;
    struct oar *oar;
    bool done;     /* the letter was read */
    bool answered; /* the HTTP thread's: the letter was sent */
};

struct http_thread {
    pthread_t thread;
    CURLM *multi;
    struct async_loop *loop;
    pthread_mutex_t lock;
    struct tri_dlist_head fresh;
    struct tri_dlist_head given_up;
};

static void read_letter(struct letter *letter)
{
    struct errand *errand = tri_container_of(letter, struct errand, letter);

    errand->done = true;
    oar_wake(errand->oar, TRI_OK);
}

/* The transfer is the coroutine's again. */
static void answer(struct http_thread *self, struct errand *errand, CURLcode code)
{
    curl_multi_remove_handle(self->multi, errand->transfer->easy);
    errand->transfer->code = code;
    errand->answered = true;
    loop_post(self->loop, &errand->letter);
}

static void take_orders(struct http_thread *self)
{
    struct tri_dlist_node *node;

    pthread_mutex_lock(&self->lock);
    while ((node = tri_dlist_pop_front(&self->fresh)) != NULL) {
        struct errand *errand = tri_container_of(node, struct errand, node);

        curl_easy_setopt(errand->transfer->easy, CURLOPT_PRIVATE, errand);
        curl_multi_add_handle(self->multi, errand->transfer->easy);
    }
    while ((node = tri_dlist_pop_front(&self->given_up)) != NULL) {
        struct errand *errand = tri_container_of(node, struct errand, given_up);

        if (!errand->answered)
            answer(self, errand, CURLE_ABORTED_BY_CALLBACK);
    }
    pthread_mutex_unlock(&self->lock);
}

/* An answer is given under the lock: once it is, nothing here touches the errand any more. */
static void give_answers(struct http_thread *self)
{
    CURLMsg *message;
    int left;

    pthread_mutex_lock(&self->lock);
    while ((message = curl_multi_info_read(self->multi, &left)) != NULL) {
        struct errand *errand = NULL;
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&errand);
        if (tri_dlist_is_linked(&errand->given_up))
            tri_dlist_remove(&self->given_up, &errand->given_up);
        answer(self, errand, code);
    }
    pthread_mutex_unlock(&self->lock);
}

static void *http_main(void *context)
{
    struct http_thread *self = context;

    for (;;) {
        int running;

        take_orders(self);
        curl_multi_perform(self->multi, &running);
        give_answers(self);
        curl_multi_poll(self->multi, NULL, 0, 60000, NULL);
    }
    return NULL;
}

static struct http_thread *http_thread_of(struct async_loop *loop)
{
    struct http_thread *self = loop->http;

    if (self != NULL)
        return self;
    self = loop->http = tri_alloc(1, sizeof(*self));
    self->loop = loop;
    self->multi = curl_multi_init();
    tri_assert(self->multi != NULL);
    /* Else libcurl closes connections whenever few transfers happen to be under way. */
    curl_multi_setopt(self->multi, CURLMOPT_MAXCONNECTS, (long)loop->pool.count);
    pthread_mutex_init(&self->lock, NULL);
    tri_dlist_init(&self->fresh);
    tri_dlist_init(&self->given_up);
    tri_assert(pthread_create(&self->thread, NULL, http_main, self) == 0);
    return self;
}

static void give_up(struct http_thread *http, struct errand *errand)
{
    struct oar *oar = errand->oar;

    pthread_mutex_lock(&http->lock);
    if (!errand->answered)
        tri_dlist_push_back(&http->given_up, &errand->given_up);
    pthread_mutex_unlock(&http->lock);
    curl_multi_wakeup(http->multi);
    oar->deaf = true;
    while (!errand->done)
        oar_wait(oar);
    oar->deaf = false;
}

enum tri_status async_transfer(struct tri_task *task, struct transfer *transfer)
{
    struct oar *oar = oar_of(task);
    struct errand errand = { .letter.read = read_letter, .transfer = transfer, .oar = oar };
    enum tri_status status = TRI_CANCELLED;

    oar_enter(oar);
    if (!task_is_stopped(task)) {
        struct http_thread *http = http_thread_of(oar->loop);

        pthread_mutex_lock(&http->lock);
        tri_dlist_push_back(&http->fresh, &errand.node);
        pthread_mutex_unlock(&http->lock);
        curl_multi_wakeup(http->multi);
        status = oar_wait(oar);
        if (!errand.done)
            give_up(http, &errand);
        else
            status = TRI_OK;
    }
    oar_leave(oar);
    return status;
}
