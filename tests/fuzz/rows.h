/* rows.h - the rows of a store as one input of fuzz_row: of each table, batch, key (little-endian
 * u32), size of the payload (u16) and of the head (u16), and the head. write_rows.c writes them. */
#ifndef FUZZ_ROWS_H
#define FUZZ_ROWS_H

#define ROWS_PREFIX 10

#endif
