/* write_rows DIR: the rows that a store holds at each moment of a story, as seeds for fuzz_row. */
#include "tests/engine/story.h"
#include "tests/fuzz/rows.h"

#include <stdio.h>
#include <stdlib.h>

#define HEAD_BYTES_MAX UINT16_MAX

static const char *folder;
static int files;

static void put_number(FILE *file, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        fputc((int)(number >> (8 * i) & 0xff), file);
}

static void put_row(FILE *file, const struct kept *row)
{
    size_t size = row->head_size < HEAD_BYTES_MAX ? row->head_size : HEAD_BYTES_MAX;

    put_number(file, row->key.table, 1);
    put_number(file, row->key.batch, 1);
    put_number(file, row->key.key, 4);
    put_number(file, row->payload_bytes, 2);
    put_number(file, size, 2);
    fwrite(row->head, 1, size, file);
}

static void write_rows(void)
{
    struct kept **rows = kept_in_order(&s);
    char path[4096];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%02d", folder, files++);
    file = fopen(path, "wb");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    for (size_t i = 0; rows[i] != NULL; i++)
        put_row(file, rows[i]);
    fclose(file);
    free(rows);
    ignore(&s, "c1");
    ignore(&s, "w1");
}

/* A range, of which some is done, some acknowledged, some failed, died and was tried again. */
static void tell_range(void)
{
    struct scenario_spec spec = { .retries = 1, .crash_limit = 1 };

    client_submits_with(&s, "c1", "b1", 40, 100000, &spec);
    write_rows();
    worker_returns(&s, "w1", "b1", 0, 5);
    write_rows();
    worker_fails(&s, "w1", "b1", 7, TRI_OUTCOME_FAILED);
    write_rows();
    worker_fails(&s, "w1", "b1", 8, TRI_OUTCOME_CRASHED);
    write_rows();
    client_acks(&s, "c1", "b1", 0);
    write_rows();
    client_acks(&s, "c1", "b1", 1);
    write_rows();
    client_cancels_tasks(&s, "c1", "b1", 20, 4);
    write_rows();
    client_retries(&s, "c1", "b1");
    write_rows();
    client_cancels(&s, "c1", "b1");
    write_rows();
}

/* Items that are still being added. */
static void tell_items(void)
{
    client_opens(&s, "c1", "b2", 100000);
    write_rows();
    client_appends(&s, "c1", "b2", 3);
    write_rows();
    client_appends(&s, "c1", "b2", 4);
    write_rows();
    worker_returns(&s, "w1", "b2", 0, 2);
    write_rows();
    client_seals(&s, "c1", "b2");
    write_rows();
}

START_TEST(a_store_at_each_moment)
{
    client_joins(&s, "c1");
    worker_joins(&s, "w1", 64);
    write_rows();
    tell_range();
    tell_items();
}
END_TEST

int main(int argc, char **argv)
{
    TCase *tcase = tcase_create("rows");

    if (argc != 2) {
        fputs("usage: write_rows DIR\n", stderr);
        return 2;
    }
    folder = argv[1];
    STORY(a_store_at_each_moment);
    return story_run("rows", tcase);
}
