/* Any rows as what a store holds: an engine recovers from them, and then all its invariants hold,
 * or it says why it does not. */
#include "broker/engine/engine.h"
#include "common/assert.h"
#include "tests/fuzz/rows.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t number_at(const uint8_t *data, size_t size)
{
    uint64_t number = 0;

    for (size_t i = size; i > 0; i--)
        number = number << 8 | data[i - 1];
    return number;
}

/* Take the row at `*data`. */
static enum tri_status recover_one(struct engine *engine,
                                   const uint8_t **data,
                                   size_t *size,
                                   struct tri_error *error)
{
    const uint8_t *row = *data;
    struct store_key key = { (enum store_table)row[0], row[1], number_at(row + 2, 4) };
    size_t head = (size_t)number_at(row + 8, 2);

    *data += ROWS_PREFIX;
    *size -= ROWS_PREFIX;
    head = head < *size ? head : *size;
    *data += head;
    *size -= head;
    return engine_recover_row(engine, key, (struct tri_bytes){ row + ROWS_PREFIX, head },
                              number_at(row + 6, 2), error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct engine_options options;
    struct recovery_counts counts;
    struct tri_error error = { TRI_OK, "" };
    struct engine *engine;
    enum tri_status status = TRI_OK;

    engine_options_init(&options);
    engine = engine_new(&options);
    engine_recover_begin(engine, 1);
    while (status == TRI_OK && size >= ROWS_PREFIX)
        status = recover_one(engine, &data, &size, &error);
    if (status == TRI_OK)
        status = engine_recover_end(engine, &counts, &error);
    if (status == TRI_OK) {
        engine_check(engine);
        engine_step(engine, &(struct event){ .type = EVENT_TICK, .now = 1 });
        engine_check(engine);
    } else {
        tri_assert(status == TRI_STORE && error.text[0] != '\0');
    }
    engine_destroy(&engine);
    return 0;
}
