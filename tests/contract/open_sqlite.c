#include "tests/contract/open.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];
static char file[96];

/* A small cache and a small log: both run over in every longer test. */
static struct store *open_file(void)
{
    struct store_sqlite_options options;
    struct tri_error error = { 0 };
    struct store *store;
    enum tri_status status;

    store_sqlite_options_init(&options);
    options.file = file;
    options.cache_bytes = 100000;
    options.log_bytes_max = 1 << 20;
    options.reserve_bytes = 1 << 16;
    status = store_sqlite_open(&options, &store, &error);
    ck_assert_msg(status == TRI_OK, "%s", error.text);
    return store;
}

struct store *open_store(void)
{
    snprintf(directory, sizeof(directory), "/tmp/trireme-store-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(file, sizeof(file), "%s/store", directory);
    return open_file();
}

void reopen_store(struct store **store)
{
    (*store)->operations->close(store);
    *store = open_file();
}

void clean_store(void)
{
    static const char *const suffixes[] = { "", "-wal", "-journal", "-reserve" };
    char path[128];

    for (size_t i = 0; i < TRI_COUNT_OF(suffixes); i++) {
        snprintf(path, sizeof(path), "%s%s", file, suffixes[i]);
        unlink(path);
    }
    ck_assert_int_eq(rmdir(directory), 0);
}
