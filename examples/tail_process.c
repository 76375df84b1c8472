/*
 * A process of its own that follows a log beside its writer: it opens read-only, sees every record
 * once it is durable, and goes on when the writer dies and another one takes over.
 *
 *     tail_process LOG [COUNT]       ends after COUNT records; without it, never
 */
#include <weir/weir.h>

#include <stdio.h>
#include <stdlib.h>

#define QUARTER_SECOND_NS 250000000

static int follow(struct weir_cursor *cursor, unsigned long count)
{
    for (unsigned long seen = 0; seen < count;) {
        struct weir_record record;
        int rc = weir_cursor_next(cursor, &record);
        if (rc == 1) {
            printf("%llu %.*s\n", (unsigned long long)record.lsn, (int)record.size,
                   (const char *)record.data);
            seen++;
            continue;
        }
        if (rc == 0) {
            fflush(stdout);
            rc = weir_cursor_wait(cursor, QUARTER_SECOND_NS); /* room to look at other things */
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.flags = WEIR_LOG_READ_ONLY;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log;
    struct weir_cursor *cursor;
    int rc = weir_log_open(argc > 1 ? argv[1] : "example.log", &options, &log, &why);
    if (rc < 0) {
        fprintf(stderr, "%s\n%s\n", why.text, weir_error_advice(rc));
        return 1;
    }
    rc = weir_cursor_open(log, NULL, &cursor);
    if (rc == 0) {
        rc = follow(cursor, argc > 2 ? strtoul(argv[2], NULL, 10) : (unsigned long)-1);
        weir_cursor_close(cursor);
    }
    if (rc < 0) {
        fprintf(stderr, "%s\n", weir_error_text(rc));
    }
    int close_rc = weir_log_close(log);
    return rc < 0 || close_rc < 0;
}
