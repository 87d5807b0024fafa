#include "tests/contract/open.h"

struct store *open_store(void)
{
    return store_memory_new();
}

void reopen_store(struct store **store)
{
    (void)store;
}

void clean_store(void)
{
}
