#include "tests/contract/open.h"

struct store *open_store(void)
{
    return store_memory_new();
}
