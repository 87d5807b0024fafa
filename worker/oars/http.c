/* tri_http: set a request up, have it carried out the way the task's kind does, follow redirects
 * one by one, so that each target is asked about first. */
#include "worker/oars/http.h"

#include "common/assert.h"
#include "worker/allow.h"
#include "worker/oars/rower.h"
#include "worker/oars/task_state.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BODY_BYTES_MAX (UINT64_C(64) << 20)
#define REDIRECTS_MAX 10

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    tri_assert(curl_global_init(CURL_GLOBAL_DEFAULT) == 0);
}

void http_init(void)
{
    pthread_once(&once, init_curl);
}

/* ---- handles -------------------------------------------------------------------------------- */

static CURL *take_easy(struct http_pool *pool)
{
    CURL *easy = pool->count != 0 ? pool->idle[--pool->count] : curl_easy_init();

    tri_assert(easy != NULL);
    return easy;
}

static void put_easy(struct http_pool *pool, CURL *easy)
{
    curl_easy_reset(easy);
    if (pool->count == pool->capacity) {
        pool->capacity = pool->capacity != 0 ? pool->capacity * 2 : 4;
        pool->idle = tri_realloc(pool->idle, pool->capacity, sizeof(*pool->idle));
    }
    pool->idle[pool->count++] = easy;
}

void http_pool_deinit(struct http_pool *self)
{
    for (size_t i = 0; i < self->count; i++)
        curl_easy_cleanup(self->idle[i]);
    free(self->idle);
    if (self->multi != NULL)
        curl_multi_cleanup(self->multi);
    *self = (struct http_pool){ 0 };
}

/* ---- a request ------------------------------------------------------------------------------ */

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct transfer *self = context;

    size *= count;
    if (self->body.size + size > self->body_bytes_max) {
        self->too_large = true;
        return 0;
    }
    tri_buffer_append(&self->body, data, size);
    return self->body.failed ? 0 : size;
}

static void allow_schemes(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
}

static void set_method(CURL *easy, const char *method, struct tri_bytes body)
{
    if (strcasecmp(method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (body.size != 0 || strcasecmp(method, "POST") == 0) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.size);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.size != 0 ? (const char *)body.data : "");
    }
    if (strcasecmp(method, "GET") != 0 || body.size != 0)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

static void set_up(struct transfer *self,
                   const char *url,
                   const char *method,
                   struct tri_bytes body,
                   struct curl_slist *headers)
{
    CURL *easy = self->easy;

    curl_easy_reset(easy);
    tri_buffer_clear(&self->body);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "trireme/" TRI_SOFTWARE_VERSION);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, self);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, self->error);
    allow_schemes(easy);
    set_method(easy, method, body);
}

/* ---- redirects ------------------------------------------------------------------------------ */

/* May a task be led to `url`? */
static enum tri_status allow_url(const char *url, struct tri_error *error)
{
    enum tri_status status;
    char *host = NULL;
    char *port = NULL;
    CURLU *parsed = curl_url();

    if (parsed != NULL && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK
        && curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK
        && curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK) {
        size_t size = strlen(host);

        if (size > 2 && host[0] == '[') {
            memmove(host, host + 1, size - 2);
            host[size - 2] = '\0';
        }
        status = allow_http(host, (uint16_t)atoi(port), error);
    } else {
        status = tri_fail(error, TRI_INVALID, "redirected to \"%.200s\", which is no URL", url);
    }
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parsed);
    return status;
}

/* Where the answer leads, in task memory, or NULL. */
static char *redirect_of(struct tri_task *task, CURL *easy)
{
    char *url = NULL;
    char *copy;
    size_t size;

    curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &url);
    if (url == NULL)
        return NULL;
    size = strlen(url) + 1;
    copy = tri_task_alloc(task, size);
    if (copy != NULL)
        memcpy(copy, url, size);
    return copy;
}

/* After 303, and after 301 and 302 to a POST as everybody does it, a GET without the body. */
static bool becomes_get(long status, const char *method)
{
    bool post = strcasecmp(method, "POST") == 0;

    return (status == 303 && strcasecmp(method, "HEAD") != 0)
           || ((status == 301 || status == 302) && post);
}

/* ---- tri_http ------------------------------------------------------------------------------- */

static enum tri_status fail_transfer(struct tri_task *task,
                                     const struct transfer *transfer,
                                     const char *url)
{
    if (transfer->too_large)
        return tri_task_fail(task, TRI_TOO_LARGE, "%.500s: more than %llu bytes", url,
                             (unsigned long long)transfer->body_bytes_max);
    return tri_task_fail(task, TRI_FAILED, "%.500s: %s", url,
                         transfer->error[0] != '\0' ? transfer->error
                                                    : curl_easy_strerror(transfer->code));
}

struct exchange {
    char *url;
    const char *method;
    struct tri_bytes body;
    struct curl_slist *headers;
};

static enum tri_status exchange_all(struct tri_task *task,
                                    struct transfer *transfer,
                                    struct exchange *next,
                                    struct tri_http_response *response)
{
    for (int hops = 0;; hops++) {
        struct tri_error error;
        enum tri_status status;
        curl_off_t total_us = 0;
        char *redirect;

        set_up(transfer, next->url, next->method, next->body, next->headers);
        status = task->ops->transfer(task, transfer);
        if (status != TRI_OK)
            return status;
        if (transfer->code != CURLE_OK)
            return fail_transfer(task, transfer, next->url);
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &response->status);
        curl_easy_getinfo(transfer->easy, CURLINFO_TOTAL_TIME_T, &total_us);
        response->total_ms += (double)total_us / 1000;
        redirect = redirect_of(task, transfer->easy);
        if (redirect == NULL)
            return TRI_OK;
        if (hops == REDIRECTS_MAX)
            return tri_task_fail(task, TRI_FAILED, "%.500s: redirected more than %d times",
                                 next->url, REDIRECTS_MAX);
        status = allow_url(redirect, &error);
        if (status != TRI_OK)
            return tri_task_fail(task, status, "%.500s: redirected: %s", next->url, error.text);
        if (becomes_get(response->status, next->method)) {
            next->method = "GET";
            next->body = (struct tri_bytes){ NULL, 0 };
        }
        next->url = redirect;
    }
}

static char *copy_url(struct tri_task *task, struct tri_bytes url)
{
    char *copy = tri_task_alloc(task, url.size + 1);

    if (copy == NULL)
        return NULL;
    memcpy(copy, url.data, url.size);
    copy[url.size] = '\0';
    return copy;
}

enum tri_status tri_http(struct tri_task *task,
                         const struct tri_http_request *request,
                         struct tri_http_response *response)
{
    struct http_pool *pool = &task->rower->http;
    struct transfer *transfer = tri_task_alloc(task, sizeof(*transfer));
    struct exchange first = { .method = request->method != NULL ? request->method : "GET",
                              .body = request->body };
    enum tri_status status;

    *response = (struct tri_http_response){ 0 };
    if (request->url.size == 0 || memchr(request->url.data, '\0', request->url.size) != NULL)
        return tri_task_fail(task, TRI_INVALID, "an empty URL, or one with a NUL byte");
    first.url = copy_url(task, request->url);
    if (transfer == NULL || first.url == NULL)
        return tri_task_fail(task, TRI_MEMORY, "no memory for a request");
    http_init();
    *transfer = (struct transfer){ .easy = take_easy(pool) };
    transfer->body_bytes_max =
        request->response_bytes_max != 0 ? request->response_bytes_max : BODY_BYTES_MAX;
    for (const char *const *h = request->headers; h != NULL && *h != NULL; h++)
        first.headers = curl_slist_append(first.headers, *h);
    status = exchange_all(task, transfer, &first, response);
    put_easy(pool, transfer->easy);
    curl_slist_free_all(first.headers);
    if (status == TRI_OK && transfer->body.size != 0) {
        size_t size;
        uint8_t *data = tri_buffer_give(&transfer->body, &size);

        if (arena_take(&task->arena, data) == NULL)
            return tri_task_fail(task, TRI_MEMORY, "no memory for a response");
        response->body = (struct tri_bytes){ data, size };
    }
    tri_buffer_deinit(&transfer->body);
    return status;
}
