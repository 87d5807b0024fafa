/* http.c - http.get: fetch a URL and say what came. */
#include "common/value.h"
#include "worker/allow.h"
#include "worker/handlers/builtin.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* A URL, or {"url": ..., "body": true}. */
static bool read_argument(const struct tri_value *argument, struct tri_bytes *url, bool *body)
{
    struct tri_value_walk walk;
    struct tri_value key;
    struct tri_value value;

    *url = (struct tri_bytes){ NULL, 0 };
    *body = false;
    if (argument->type == TRI_STRING) {
        *url = argument->bytes;
        return true;
    }
    if (argument->type != TRI_COMPOUND || tri_value_walk(argument, &walk, NULL) != TRI_OK
        || !walk.is_map)
        return false;
    for (uint32_t i = 0; i < walk.count; i++) {
        if (tri_value_walk_next(&walk, &key, NULL) != TRI_OK || key.type != TRI_STRING
            || tri_value_walk_next(&walk, &value, NULL) != TRI_OK)
            return false;
        if (key.bytes.size == 3 && memcmp(key.bytes.data, "url", 3) == 0
            && value.type == TRI_STRING)
            *url = value.bytes;
        else if (key.bytes.size == 4 && memcmp(key.bytes.data, "body", 4) == 0
                 && value.type == TRI_BOOL)
            *body = value.boolean;
        else
            return false;
    }
    return url->data != NULL;
}

/* Ask allow.h about the URL's host and port. */
static enum tri_status check_url(struct tri_task *task, struct tri_bytes url)
{
    struct tri_error error;
    enum tri_status status = TRI_INVALID;
    char *text = tri_task_alloc(task, url.size + 1);
    char *host = NULL;
    char *port = NULL;
    CURLU *parsed = curl_url();

    if (text != NULL && parsed != NULL) {
        memcpy(text, url.data, url.size);
        text[url.size] = '\0';
        if (memchr(url.data, 0, url.size) == NULL
            && curl_url_set(parsed, CURLUPART_URL, text, 0) == CURLUE_OK
            && curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK
            && curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK) {
            size_t length = strlen(host);

            if (length > 2 && host[0] == '[') { /* an IPv6 address, in brackets */
                host[length - 1] = '\0';
                memmove(host, host + 1, length - 1);
            }
            status = allow_http(host, (uint16_t)atoi(port), &error);
        } else {
            tri_fail(&error, TRI_INVALID, "\"%.200s\" is not a URL", text);
        }
    } else {
        status = tri_fail(&error, TRI_MEMORY, "out of memory");
    }
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parsed);
    return status == TRI_OK ? TRI_OK : tri_task_fail(task, status, "%s", error.text);
}

static void pack_hex_digest(struct tri_buffer *out, struct tri_bytes body)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned size = 0;

    EVP_Digest(body.data, body.size, digest, &size, EVP_sha256(), NULL);
    for (unsigned i = 0; i < size; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    tri_pack_string(out, hex, 2 * (size_t)size);
}

static enum tri_status run_get(struct tri_task *task,
                               const struct tri_value *argument,
                               struct tri_result *out)
{
    struct tri_http_response response;
    struct tri_http_request request = { .method = "GET" };
    struct tri_buffer packed;
    enum tri_status status;
    bool body;

    if (!read_argument(argument, &request.url, &body))
        return tri_task_fail(task, TRI_INVALID,
                             "http.get wants a URL or {\"url\": ..., \"body\": true}");
    status = check_url(task, request.url);
    if (status == TRI_OK)
        status = tri_http(task, &request, &response);
    if (status != TRI_OK)
        return status;
    tri_buffer_init(&packed);
    tri_pack_map(&packed, body ? 5 : 4);
    tri_pack_text(&packed, "status");
    tri_pack_int(&packed, response.status);
    tri_pack_text(&packed, "bytes");
    tri_pack_uint(&packed, response.body.size);
    tri_pack_text(&packed, "sha256");
    pack_hex_digest(&packed, response.body);
    tri_pack_text(&packed, "ms");
    tri_pack_float(&packed, response.total_ms);
    if (body) {
        tri_pack_text(&packed, "body");
        tri_pack_string(&packed, response.body.data, response.body.size);
    }
    if (packed.failed)
        status = tri_task_fail(task, TRI_MEMORY, "out of memory");
    else
        status = tri_result_bytes(task, out, TRI_COMPOUND, packed.data, packed.size);
    tri_buffer_deinit(&packed);
    return status;
}

static const struct tri_handler get = {
    BUILTIN,           .name = "http.get",
    .run = run_get,    .waits = true,
    .big_stack = true, .summary = "fetch a URL: status, bytes, sha256, ms; body on request"
};

const struct tri_handler *const builtin_http[] = { &get };
const size_t builtin_http_count = sizeof(builtin_http) / sizeof(builtin_http[0]);
