/* http.h - HTTP for tasks: libcurl, one transfer at a time for each task.
 *
 * Threads: a rower's pool is used by the rower's tasks alone (on the loop by one after the other).
 * Memory:  easy handles are kept for reuse; connections live in the multi handle they were used in.
 */
#ifndef HTTP_H
#define HTTP_H

#include "common/buffer.h"
#include "common/list.h"

#include <curl/curl.h>

struct oar;

/* One request and its answer. */
struct transfer {
    CURL *easy;
    struct tri_buffer body;
    uint64_t body_bytes_max;
    bool too_large;
    CURLcode code;
    char error[CURL_ERROR_SIZE];
};

/* Idle easy handles of a rower, and (threads) the multi handle they are used in. */
struct http_pool {
    CURL **idle;
    size_t count;
    size_t capacity;
    CURLM *multi;
};

void http_pool_deinit(struct http_pool *self);

/* Once per process, before the first handle. */
void http_init(void);

#endif
