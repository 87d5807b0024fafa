/* Writes the vectors: `write_vectors text DIR` one readable file per message, record and chunk, the
 * refused frames and the example session; `write_vectors corpus DIR` the bare bytes, as seeds for
 * tests/fuzz. README.md explains the text. */
#include "tests/vectors/cases.h"

#include "common/assert.h"
#include "common/proto/codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

static FILE *open_file(const char *folder, const char *name, const char *suffix)
{
    char path[4096];
    FILE *file;

    if (snprintf(path, sizeof(path), "%s/%s%s", folder, name, suffix) >= (int)sizeof(path)) {
        fprintf(stderr, "%s: the path is too long\n", folder);
        return NULL;
    }
    file = fopen(path, "w");
    if (file == NULL) {
        perror(path);
        return NULL;
    }
    return file;
}

static void print_hex(FILE *file, struct tri_bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        fprintf(file, "%02x", bytes.data[i]);
}

/* JSON, each byte outside printable ASCII as \u00XX. */
static void print_text(FILE *file, struct tri_bytes bytes)
{
    fputc('"', file);
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t byte = bytes.data[i];

        if (byte < ' ' || byte > '~' || byte == '"' || byte == '\\')
            fprintf(file, "\\u%04x", byte);
        else
            fputc(byte, file);
    }
    fputc('"', file);
}

static void print_ranges(FILE *file, struct tri_ranges ranges)
{
    fputc('[', file);
    for (size_t i = 0; i < ranges.count; i++) {
        struct tri_range range = tri_ranges_at(ranges, i);

        fprintf(file, "%s[%" PRIu64 ", %" PRIu64 "]", i > 0 ? ", " : "", range.first, range.count);
    }
    fputc(']', file);
}

static void print_value(FILE *file, const struct tri_field *field, const void *slot);

static void print_list(FILE *file, enum tri_record_type type, struct tri_list list)
{
    const struct tri_shape *shape = tri_record_shape(type);
    union tri_any_record record;
    const char *between = "";

    fputc('[', file);
    while (tri_list_next(&list, type, &record)) {
        const uint8_t *at = (const uint8_t *)&record;

        fprintf(file, "%s{", between);
        for (size_t i = 0; i < shape->count; i++) {
            fprintf(file, "%s\"%s\": ", i > 0 ? ", " : "", shape->fields[i].name);
            print_value(file, &shape->fields[i], at);
            at += tri_field_size(shape->fields[i].kind);
        }
        fputc('}', file);
        between = ", ";
    }
    fputc(']', file);
}

static void print_value(FILE *file, const struct tri_field *field, const void *slot)
{
    switch (field->kind) {
    case TRI_FIELD_UNSIGNED:
        fprintf(file, "%" PRIu64, *(const uint64_t *)slot);
        break;
    case TRI_FIELD_SIGNED:
        fprintf(file, "%" PRId64, *(const int64_t *)slot);
        break;
    case TRI_FIELD_STRING:
        print_text(file, *(const struct tri_bytes *)slot);
        break;
    case TRI_FIELD_BINARY:
        fputs("\"hex:", file);
        print_hex(file, *(const struct tri_bytes *)slot);
        fputc('"', file);
        break;
    case TRI_FIELD_RANGES:
        print_ranges(file, *(const struct tri_ranges *)slot);
        break;
    case TRI_FIELD_LIST:
        print_list(file, field->record, *(const struct tri_list *)slot);
        break;
    }
}

static void print_fields(FILE *file, const struct tri_shape *shape, const void *slot)
{
    const uint8_t *at = slot;

    for (size_t i = 0; i < shape->count; i++) {
        fprintf(file, "%s = ", shape->fields[i].name);
        print_value(file, &shape->fields[i], at);
        fputc('\n', file);
        at += tri_field_size(shape->fields[i].kind);
    }
}

static void print_chunk(FILE *file, const struct tri_chunk *chunk)
{
    fputs("values = [", file);
    for (uint32_t i = 0; i < chunk->count; i++) {
        fputs(i > 0 ? ", \"hex:" : "\"hex:", file);
        print_hex(file, tri_chunk_at(chunk, i));
        fputc('"', file);
    }
    fputs("]\n", file);
}

/* What the bytes say, decoded by the very functions under test. */
static void print_content(FILE *file, const struct vector *vector)
{
    struct tri_message message;
    union tri_any_record record;
    struct tri_chunk chunk;
    struct tri_error error;
    size_t size;

    switch (vector->kind) {
    case VECTOR_MESSAGE:
        tri_assert(tri_message_decode(vector->bytes, &message, &error) == TRI_OK);
        print_fields(file, tri_message_shape(vector->type), &message.hello);
        break;
    case VECTOR_RECORD:
        tri_assert(
            tri_record_decode((enum tri_record_type)vector->type, vector->bytes, &record, &error)
            == TRI_OK);
        print_fields(file, tri_record_shape((enum tri_record_type)vector->type), &record);
        break;
    case VECTOR_ITEMS:
        tri_assert(tri_record_decode_head(TRI_RECORD_ITEMS, vector->bytes, &record, &size, &error)
                   == TRI_OK);
        print_fields(file, tri_record_shape(TRI_RECORD_ITEMS), &record);
        tri_assert(tri_items_open(vector->bytes, &chunk, &error) == TRI_OK);
        print_chunk(file, &chunk);
        break;
    case VECTOR_RESULT:
        tri_assert(tri_result_open(vector->bytes, &record.result, &chunk, &error) == TRI_OK);
        print_fields(file, tri_record_shape(TRI_RECORD_RESULT), &record);
        print_chunk(file, &chunk);
        break;
    }
}

static void print_head(FILE *file, const struct vector *vector)
{
    switch (vector->kind) {
    case VECTOR_MESSAGE:
        fprintf(file, "message %s %" PRIu64 "\n", vector->name, vector->type);
        break;
    case VECTOR_RECORD:
        fprintf(file, "record %s\n", vector->name);
        break;
    case VECTOR_ITEMS:
    case VECTOR_RESULT:
        fprintf(file, "chunk %s\n", tri_record_shape((enum tri_record_type)vector->type)->name);
        break;
    }
}

/* The vectors of one file stand together. A record and a message may share a name, so records get
 * a prefix. */
static bool write_vectors(const char *folder, const struct vector *vectors, size_t count)
{
    for (size_t i = 0; i < count;) {
        const struct vector *first = &vectors[i];
        char name[80];
        FILE *file;

        snprintf(name, sizeof(name), "%s%s", first->kind == VECTOR_RECORD ? "record-" : "",
                 first->name);
        file = open_file(folder, name, ".txt");
        if (file == NULL)
            return false;
        print_head(file, first);
        for (; i < count && vectors[i].name == first->name && vectors[i].kind == first->kind; i++) {
            fprintf(file, "\ncase %s\nframe ", vectors[i].title);
            print_hex(file, vectors[i].bytes);
            fputc('\n', file);
            print_content(file, &vectors[i]);
        }
        fclose(file);
    }
    return true;
}

static bool write_refusals(const char *folder, const struct refusal *refusals, size_t count)
{
    static const char *const kinds[] = { "message", "record", "chunk", "chunk" };
    FILE *file = open_file(folder, "refused", ".txt");

    if (file == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct refusal *refusal = &refusals[i];
        bool of_record = refusal->kind != VECTOR_MESSAGE;

        fprintf(file, "%scase %s\n%s%s%s\nstatus %s\nframe ", i > 0 ? "\n" : "", refusal->title,
                kinds[refusal->kind], of_record ? " " : "",
                of_record ? tri_record_shape((enum tri_record_type)refusal->type)->name : "",
                tri_status_name(refusal->status));
        print_hex(file, refusal->bytes);
        fputc('\n', file);
    }
    fclose(file);
    return true;
}

static bool write_session(struct maker *maker, const char *folder)
{
    size_t count;
    const struct step *steps = story_make(maker, &count);
    FILE *file = open_file(folder, "session", ".txt");

    if (file == NULL)
        return false;
    for (size_t i = 0; i < count && steps[i].told; i++) {
        const struct step *step = &steps[i];

        fprintf(file, "%s%s -> %s  %s\n0: ", i > 0 ? "\n" : "", step->from, step->to,
                tri_message_name(step->message.type));
        print_hex(file, keep_message(maker, &step->message));
        for (size_t k = 0; k < step->frame_count; k++) {
            fprintf(file, "\n%zu: ", k + 1);
            print_hex(file, step->frames[k]);
        }
        fputc('\n', file);
    }
    fclose(file);
    return true;
}

static bool write_seed(const char *folder,
                       size_t number,
                       const uint8_t *lead,
                       struct tri_bytes bytes)
{
    char name[32];
    FILE *file;

    snprintf(name, sizeof(name), "%03zu", number);
    file = open_file(folder, name, "");
    if (file == NULL)
        return false;
    if (lead != NULL)
        fputc(*lead, file);
    fwrite(bytes.data, 1, bytes.size, file);
    fclose(file);
    return true;
}

static bool write_kind(const char *folder,
                       const char *kind,
                       size_t number,
                       const uint8_t *lead,
                       struct tri_bytes bytes)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s", folder, kind);
    mkdir(path, 0777);
    return write_seed(path, number, lead, bytes);
}

/* One folder per fuzzer; in `record` the first byte says which record, `guard` has everything. */
static bool write_corpus(const char *folder,
                         const struct vector *vectors,
                         size_t count,
                         const struct refusal *refusals,
                         size_t refusal_count)
{
    static const char *const kinds[] = { "message", "record", "chunk", "chunk" };
    char path[4096];

    snprintf(path, sizeof(path), "%s/guard", folder);
    mkdir(path, 0777);
    for (size_t i = 0; i < count + refusal_count; i++) {
        bool refused = i >= count;
        const struct refusal *refusal = refused ? &refusals[i - count] : NULL;
        enum vector_kind kind = refused ? refusal->kind : vectors[i].kind;
        uint8_t type = (uint8_t)(refused ? refusal->type : vectors[i].type);
        struct tri_bytes bytes = refused ? refusal->bytes : vectors[i].bytes;

        if (!write_seed(path, i, NULL, bytes)
            || !write_kind(folder, kinds[kind], i, kind == VECTOR_RECORD ? &type : NULL, bytes))
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct maker maker;
    size_t count;
    size_t refusal_count;
    const struct vector *vectors;
    const struct refusal *refusals;
    bool well = false;

    if (argc != 3) {
        fputs("usage: write_vectors text|corpus DIR\n", stderr);
        return 2;
    }
    maker_init(&maker, 1);
    vectors = vectors_make(&maker, &count);
    refusals = refusals_make(&maker, &refusal_count);
    mkdir(argv[2], 0777);
    if (strcmp(argv[1], "text") == 0)
        well = write_vectors(argv[2], vectors, count)
               && write_refusals(argv[2], refusals, refusal_count)
               && write_session(&maker, argv[2]);
    else if (strcmp(argv[1], "corpus") == 0)
        well = write_corpus(argv[2], vectors, count, refusals, refusal_count);
    maker_deinit(&maker);
    return well ? 0 : 1;
}
