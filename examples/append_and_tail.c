/* Appends a record, durable when the call returns, and reads the log from its first record on. */
#include <weir/weir.h>

#include <inttypes.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    struct weir_log *log;
    struct weir_error why = WEIR_ERROR_INIT;
    if (weir_log_open(argc > 1 ? argv[1] : "example.log", NULL, &log, &why) < 0) {
        fprintf(stderr, "%s\n%s\n", why.text, weir_error_advice(why.code));
        return 1;
    }
    struct weir_part part = {"hello", 5};
    struct weir_entry entry = {.parts = &part, .part_count = 1};
    struct weir_cursor *cursor = NULL;
    struct weir_record record;
    int rc = weir_append(log, &entry, WEIR_EACH, NULL);
    if (rc == 0) {
        rc = weir_cursor_open(log, NULL, &cursor);
    }
    while (rc >= 0 && (rc = weir_cursor_next(cursor, &record)) == 1) {
        printf("%" PRIu64 " %.*s\n", record.lsn, (int)record.size, (const char *)record.data);
    }
    weir_cursor_close(cursor);
    int close_rc = weir_log_close(log);
    return rc < 0 || close_rc < 0;
}
