/* Any bytes as any record; the first byte says which. */
#include "tests/vectors/structs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && tri_record_shape((enum tri_record_type)data[0]) != NULL)
        record_survives((enum tri_record_type)data[0], (struct tri_bytes){ data + 1, size - 1 });
    return 0;
}
