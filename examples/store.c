/* The storage engine: put, a batch, a condition, a scan, and yesterday's state.
 *
 *     example_store DIRECTORY
 */
#include <stdio.h>
#include <weir/weir.h>

static int fail(const char *what, int rc)
{
    fprintf(stderr, "%s: %s\n", what, weir_error_text(rc));
    return 1;
}

static int fill(struct weir_engine *engine)
{
    weir_lsn lsn = 0;
    int rc = weir_put(engine, WEIR_TABLE_DEFAULT, WEIR_TEXT("apple"), WEIR_TEXT("green"), WEIR_EACH,
                      &lsn);
    /* Both or none, also at a crash; the apple only if nobody has changed it since. */
    struct weir_write writes[] = {
        {.kind = WEIR_PUT,
         .key = WEIR_TEXT("apple"),
         .value = WEIR_TEXT("red"),
         .conditional = true,
         .expected = lsn},
        {.kind = WEIR_PUT, .key = WEIR_TEXT("avocado"), .value = WEIR_TEXT("black")},
    };
    return rc < 0 ? rc : weir_engine_write_batch(engine, writes, 2, WEIR_EACH, NULL);
}

/* All keys that begin with "a": as of an LSN, or the newest with UINT64_MAX. */
static int show(struct weir_engine *engine, weir_lsn lsn)
{
    struct weir_read_options view = WEIR_READ_OPTIONS_INIT;
    view.view = lsn == UINT64_MAX ? WEIR_VIEW_NEWEST : WEIR_VIEW_AS_OF;
    view.lsn = lsn == UINT64_MAX ? 0 : lsn;
    struct weir_read read;
    int rc = weir_read_begin(engine, &view, &read);
    if (rc < 0) {
        return rc;
    }
    struct weir_scan_options options = WEIR_SCAN_OPTIONS_INIT;
    options.prefix = WEIR_TEXT("a");
    struct weir_scan *scan;
    struct weir_row row;
    rc = weir_scan_open(&read, &options, &scan);
    if (rc == 0) {
        while ((rc = weir_scan_next(scan, &row)) == 1) { /* inside the log's memory: no copy */
            printf("%.*s is %.*s (version %llu)\n", (int)row.key.size, (const char *)row.key.data,
                   (int)row.value.size, (const char *)row.value.data, (unsigned long long)row.lsn);
        }
        weir_scan_close(scan);
    }
    weir_read_end(&read);
    return rc;
}

int main(int argc, char **argv)
{
    struct weir_log *log;
    struct weir_engine *engine;
    struct weir_error why = WEIR_ERROR_INIT;
    if (weir_log_open(argc > 1 ? argv[1] : "fruit.log", NULL, &log, &why) < 0) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    int rc = weir_engine_open(log, NULL, &engine, &why);
    if (rc < 0) {
        fprintf(stderr, "%s\n", why.text);
        weir_log_close(log);
        return 1;
    }
    weir_lsn before = weir_durable_lsn(log) + 1; /* the first record that is written here */
    rc = fill(engine);
    rc = rc < 0 ? rc : show(engine, UINT64_MAX);
    if (rc == 0) {
        printf("and as of record %llu:\n", (unsigned long long)before);
        rc = show(engine, before);
    }
    weir_engine_close(engine);
    weir_log_close(log);
    return rc < 0 ? fail("fruit", rc) : 0;
}
