/*
 * The detail of a failure, filled in where it is found.
 */
#include "wal/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int log_error(struct weir_error *why, int code, const char *file, uint64_t offset,
              const char *format, ...)
{
    if (why == NULL || why->size < sizeof *why) {
        return code;
    }
    why->code = code;
    why->from_lsn = why->to_lsn = WEIR_LSN_NONE;
    why->offset = offset;
    why->file[0] = '\0';
    if (file != NULL) {
        strncpy(why->file, file, sizeof why->file - 1);
        why->file[sizeof why->file - 1] = '\0';
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    return code;
}

int log_error_range(struct weir_error *why, int code, weir_lsn from, weir_lsn to)
{
    if (why != NULL && why->size >= sizeof *why) {
        why->from_lsn = from;
        why->to_lsn = to;
    }
    return code;
}

void log_error_explain(struct weir_error *why, int code, const char *directory)
{
    if (code < 0 && why != NULL && why->size >= sizeof *why && why->code != code) {
        log_error(why, code, NULL, UINT64_MAX, "%s: %s", directory != NULL ? directory : "the log",
                  weir_error_text(code));
    }
}
