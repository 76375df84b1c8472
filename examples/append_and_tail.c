/* Appends a record, durable when the call returns, and reads the log from its start (README). */
#include <stdio.h>
#include <weir/weir.h>

int main(void)
{
    struct weir_log *log;
    struct weir_error why = WEIR_ERROR_INIT;
    if (weir_log_open("orders.log", NULL, &log, &why) < 0) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    struct weir_part part = {"one lemonade", 12};
    struct weir_entry entry = {.parts = &part, .part_count = 1};
    weir_lsn lsn;
    if (weir_append(log, &entry, WEIR_EACH, &lsn) == 0) { /* durable when it returns */
        printf("record %llu is durable\n", (unsigned long long)lsn);
    }
    struct weir_cursor *cursor;
    struct weir_record record;
    if (weir_cursor_open(log, NULL, &cursor) == 0) {
        while (weir_cursor_next(cursor, &record) == 1) { /* in place, without a copy */
            printf("%llu %.*s\n", (unsigned long long)record.lsn, (int)record.size,
                   (const char *)record.data);
        }
        weir_cursor_close(cursor);
    }
    return weir_log_close(log) == 0 ? 0 : 1;
}
