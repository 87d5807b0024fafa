#include "worker/handlers/builtin.h"

#include "worker/registry.h"

void builtin_register(bool test_handlers)
{
    registry_add_builtin(builtin_numbers, builtin_numbers_count);
    registry_add_builtin(builtin_files, builtin_files_count);
    registry_add_builtin(builtin_http, builtin_http_count);
    registry_add_builtin(builtin_command, builtin_command_count);
    if (test_handlers)
        registry_add_builtin(builtin_tests, builtin_tests_count);
}
