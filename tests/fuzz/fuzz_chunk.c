/* Any bytes as an item chunk and as a result chunk: when one opens, every value of it lies inside
 * the frame and its cuts open too. */
#include "tests/vectors/structs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    items_survive((struct tri_bytes){ data, size });
    result_survives((struct tri_bytes){ data, size });
    return 0;
}
