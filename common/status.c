#define TRI_FAIL_IS_DEFINED_HERE /* and may not be a macro */
#include "trireme/status.h"

#include <stdarg.h>
#include <stdio.h>

const char *tri_status_text(enum tri_status status)
{
    switch (status) {
#define X(name, code, text) \
    case TRI_##name:        \
        return text;
        TRI_STATUS_MAP(X)
#undef X
    }
    return "unknown status";
}

const char *tri_status_name(enum tri_status status)
{
    switch (status) {
#define X(name, code, text) \
    case TRI_##name:        \
        return #name;
        TRI_STATUS_MAP(X)
#undef X
    }
    return "UNKNOWN";
}

enum tri_status tri_fail(struct tri_error *error, enum tri_status status, const char *format, ...)
{
    va_list args;

    if (error == NULL)
        return status;
    error->status = status;
    va_start(args, format);
    vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
    return status;
}
