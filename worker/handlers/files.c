/* files.c - file.read file.write file.lines file.sha256 words. What a daemon's worker may open is
 * asked of allow.h. Whole files are read only where the content is the result; the others are
 * streamed beside the loop, in constant memory. */
#include "common/map.h"
#include "common/value.h"
#include "worker/allow.h"
#include "worker/handlers/builtin.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES 65536

/* The allowed, resolved path named by the argument, in task memory. */
static enum tri_status resolve(struct tri_task *task, struct tri_bytes name, char **path)
{
    struct tri_error error;
    char *given = tri_task_alloc(task, name.size + 1);
    enum tri_status status;

    *path = tri_task_alloc(task, PATH_MAX);
    if (given == NULL || *path == NULL)
        return tri_task_fail(task, TRI_MEMORY, "out of memory");
    if (name.size == 0 || memchr(name.data, 0, name.size) != NULL)
        return tri_task_fail(task, TRI_INVALID, "not a file name");
    memcpy(given, name.data, name.size);
    given[name.size] = '\0';
    status = allow_file(given, *path, &error);
    return status == TRI_OK ? TRI_OK : tri_task_fail(task, status, "%s", error.text);
}

static enum tri_status run_read(struct tri_task *task,
                                const struct tri_value *argument,
                                struct tri_result *out)
{
    struct tri_value content = { .type = TRI_STRING };
    char *path;
    enum tri_status status = resolve(task, argument->bytes, &path);

    if (status == TRI_OK)
        status = tri_read_file(task, path, &content.bytes);
    return status == TRI_OK ? tri_result_borrow(out, &content) : status;
}

/* [path, content] -> bytes written. */
static enum tri_status run_write(struct tri_task *task,
                                 const struct tri_value *argument,
                                 struct tri_result *out)
{
    struct tri_value_walk walk;
    struct tri_value parts[2];
    char *path;
    enum tri_status status;

    if (tri_value_walk(argument, &walk, NULL) != TRI_OK || walk.is_map || walk.count != 2
        || tri_value_walk_next(&walk, &parts[0], NULL) != TRI_OK || parts[0].type != TRI_STRING
        || tri_value_walk_next(&walk, &parts[1], NULL) != TRI_OK
        || (parts[1].type != TRI_STRING && parts[1].type != TRI_BINARY))
        return tri_task_fail(task, TRI_INVALID, "file.write wants [path, content]");
    status = resolve(task, parts[0].bytes, &path);
    if (status == TRI_OK)
        status = tri_write_file(task, path, parts[1].bytes);
    return status == TRI_OK ? tri_result_integer(out, (int64_t)parts[1].bytes.size) : status;
}

/* ---- streaming ------------------------------------------------------------------------------- */

/* One pass over a file: `block` is called for each part of it. Runs beside the loop. */
struct stream {
    const char *path;
    void (*block)(void *state, const uint8_t *data, size_t size);
    void *state;
    struct tri_task *task;
    int error; /* errno, or 0 */
};

static void stream_work(void *context)
{
    struct stream *self = context;
    uint8_t data[BLOCK_BYTES / 4];
    int fd = open(self->path, O_RDONLY | O_CLOEXEC);
    ssize_t got = 0;

    if (fd < 0) {
        self->error = errno;
        return;
    }
    while ((got = read(fd, data, sizeof(data))) > 0)
        self->block(self->state, data, (size_t)got);
    self->error = got < 0 ? errno : 0;
    close(fd);
}

static enum tri_status stream_file(struct tri_task *task,
                                   const struct tri_value *argument,
                                   void (*block)(void *state, const uint8_t *data, size_t size),
                                   void *state)
{
    struct stream stream = { .block = block, .state = state, .task = task };
    char *path;
    enum tri_status status = resolve(task, argument->bytes, &path);

    stream.path = path;
    if (status == TRI_OK)
        status = tri_offload(task, stream_work, &stream);
    if (status == TRI_OK && stream.error != 0)
        return tri_task_fail(task, TRI_SYSTEM, "cannot read %.*s: %s", (int)argument->bytes.size,
                             (const char *)argument->bytes.data, strerror(stream.error));
    return status;
}

/* ---- file.lines: as `wc -l` counts, and an unfinished last line ------------------------------ */

struct lines {
    uint64_t count;
    bool open;
};

static void count_lines(void *state, const uint8_t *data, size_t size)
{
    struct lines *lines = state;

    for (size_t i = 0; i < size; i++)
        lines->count += data[i] == '\n';
    lines->open = data[size - 1] != '\n';
}

static enum tri_status run_lines(struct tri_task *task,
                                 const struct tri_value *argument,
                                 struct tri_result *out)
{
    struct lines lines = { 0, false };
    enum tri_status status = stream_file(task, argument, count_lines, &lines);

    return status == TRI_OK ? tri_result_integer(out, (int64_t)(lines.count + lines.open)) : status;
}

/* ---- file.sha256 ----------------------------------------------------------------------------- */

static void add_to_digest(void *state, const uint8_t *data, size_t size)
{
    EVP_DigestUpdate(state, data, size);
}

static enum tri_status run_sha256(struct tri_task *task,
                                  const struct tri_value *argument,
                                  struct tri_result *out)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned size = 0;
    enum tri_status status;
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(context);
        return tri_task_fail(task, TRI_MEMORY, "out of memory");
    }
    status = stream_file(task, argument, add_to_digest, context);
    EVP_DigestFinal_ex(context, digest, &size);
    EVP_MD_CTX_free(context);
    if (status != TRI_OK)
        return status;
    for (unsigned i = 0; i < size; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    return tri_result_bytes(task, out, TRI_STRING, hex, 2 * (size_t)size);
}

/* ---- words: runs of ASCII letters, in lower case, with their counts -------------------------- */

struct words {
    struct tri_bytemap counts;
    struct tri_buffer word; /* the one being read */
    bool failed;
};

static void close_word(struct words *words)
{
    union tri_bytemap_value *count;

    if (words->word.size == 0)
        return;
    count = tri_bytemap_at(&words->counts, tri_buffer_bytes(&words->word), NULL);
    tri_buffer_clear(&words->word);
    if (count == NULL)
        words->failed = true;
    else
        count->number++;
}

static void count_words(void *state, const uint8_t *data, size_t size)
{
    struct words *words = state;

    for (size_t i = 0; i < size; i++) {
        uint8_t letter = data[i] | 0x20;

        if (letter < 'a' || letter > 'z')
            close_word(words);
        else
            tri_buffer_append(&words->word, &letter, 1);
    }
}

static enum tri_status give_words(struct tri_task *task,
                                  struct words *words,
                                  struct tri_result *out)
{
    struct tri_buffer packed;
    struct tri_bytes word;
    size_t cursor = 0;
    union tri_bytemap_value count;
    enum tri_status status;

    tri_buffer_init(&packed);
    tri_pack_map(&packed, (uint32_t)words->counts.count);
    while (tri_bytemap_next(&words->counts, &cursor, &word, &count)) {
        tri_pack_string(&packed, word.data, word.size);
        tri_pack_uint(&packed, count.number);
    }
    if (packed.failed || words->failed)
        status = tri_task_fail(task, TRI_MEMORY, "out of memory");
    else
        status = tri_result_bytes(task, out, TRI_COMPOUND, packed.data, packed.size);
    tri_buffer_deinit(&packed);
    return status;
}

static enum tri_status run_words(struct tri_task *task,
                                 const struct tri_value *argument,
                                 struct tri_result *out)
{
    struct words words = { .failed = false };
    enum tri_status status;

    tri_bytemap_init(&words.counts, 0);
    tri_buffer_init(&words.word);
    status = stream_file(task, argument, count_words, &words);
    close_word(&words);
    if (status == TRI_OK)
        status = give_words(task, &words, out);
    tri_buffer_deinit(&words.word);
    tri_bytemap_deinit(&words.counts);
    return status;
}

static const struct tri_handler read_content = {
    BUILTIN,         .name = "file.read",
    .run = run_read, .argument = TRI_STRING,
    .waits = true,   .summary = "the content of that file"
};
static const struct tri_handler write_content = {
    BUILTIN,          .name = "file.write",
    .run = run_write, .argument = TRI_COMPOUND,
    .waits = true,    .summary = "[path, content]: replace the file; gives the bytes written"
};
static const struct tri_handler lines = { BUILTIN, .name = "file.lines", .run = run_lines,
                                          .argument = TRI_STRING,
                                          .summary = "how many lines that file has" };
static const struct tri_handler sha256 = { BUILTIN, .name = "file.sha256", .run = run_sha256,
                                           .argument = TRI_STRING,
                                           .summary = "the SHA-256 of that file, in hexadecimal" };
static const struct tri_handler words = {
    BUILTIN, .name = "words", .run = run_words, .argument = TRI_STRING,
    .summary = "word -> count in that file (runs of ASCII letters, lower case)"
};

const struct tri_handler *const builtin_files[] = { &read_content, &write_content, &lines, &sha256,
                                                    &words };
const size_t builtin_files_count = sizeof(builtin_files) / sizeof(builtin_files[0]);
