/* builtin.h - the handlers every worker has; docs/man/trireme-handlers.7 describes each. */
#ifndef BUILTIN_H
#define BUILTIN_H

#include "trireme/handler.h"

/* Put them into the registry (registry.h); the test handlers (crash, fail, spin) too if asked. */
void builtin_register(bool test_handlers);

/* The table of one family, static: used by builtin_register and by tests. */
extern const struct tri_handler *const builtin_numbers[];
extern const size_t builtin_numbers_count;
extern const struct tri_handler *const builtin_files[];
extern const size_t builtin_files_count;
extern const struct tri_handler *const builtin_http[];
extern const size_t builtin_http_count;
extern const struct tri_handler *const builtin_command[];
extern const size_t builtin_command_count;
extern const struct tri_handler *const builtin_tests[];
extern const size_t builtin_tests_count;

/* A built-in's fields that are always the same. */
#define BUILTIN .abi = TRI_HANDLER_ABI, .size = sizeof(struct tri_handler)

#endif
