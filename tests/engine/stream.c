#include "stream.h"

#include <stdio.h>

#include <weir/maintain.h>

struct weir_changes *open_stream(struct weir_engine *engine,
                                 const struct weir_changes_options *options)
{
    struct weir_changes *changes;
    assert_int_equal(weir_changes_open(engine, options, &changes), 0);
    return changes;
}

struct weir_changes *open_from(struct store *store, enum weir_changes_from from, weir_lsn lsn)
{
    struct weir_changes_options options = WEIR_CHANGES_OPTIONS_INIT;
    options.from = from;
    options.lsn = lsn;
    return open_stream(store->engine, &options);
}

/* "1:+a=1 2:a=1>2 3:-a=2 s4:+b=5": LSN, what happened; s: a row of a state. */
static void add_event(char *text, size_t size, const struct weir_event *event)
{
    size_t used = strlen(text);
    const char *sign = event->operation == WEIR_INSERT   ? "+"
                       : event->operation == WEIR_REMOVE ? "-"
                                                         : "";
    bool both = event->before_lsn != 0 && event->after.data != NULL;
    snprintf(text + used, size - used, "%s%s%ju:%s%.*s=%.*s%s%.*s", used > 0 ? " " : "",
             event->state ? "s" : "", (uintmax_t)event->lsn, sign, (int)event->key.size,
             (const char *)event->key.data, (int)event->before.size,
             event->before.data != NULL ? (const char *)event->before.data : "", both ? ">" : "",
             (int)event->after.size,
             event->after.data != NULL ? (const char *)event->after.data : "");
    assert_true(event->time_ns > 0);
}

/* All that there is now, `max` at a time. */
void expect_events(struct weir_changes *changes, int max, const char *expected)
{
    struct weir_event events[EVENTS];
    char found[4096] = "";
    int count;
    while ((count = weir_changes_next(changes, events, max)) > 0) {
        for (int i = 0; i < count; i++) {
            add_event(found, sizeof found, &events[i]);
        }
    }
    assert_int_equal(count, 0);
    assert_string_equal(found, expected);
    assert_true(weir_changes_is_whole(changes));
}

void churn(struct store *store, int rounds)
{
    static char value[2000];
    char key[24];
    for (int i = 0; i < rounds * KEYS; i++) {
        snprintf(key, sizeof key, "key%d", i % KEYS);
        struct weir_bytes bytes = {value, sizeof value};
        assert_int_equal(weir_put(store->engine, 0, text(key), bytes, WEIR_NONE, NULL), 0);
    }
    settle(store);
}

void compact(struct store *store, weir_lsn horizon)
{
    struct weir_compact_options options = WEIR_COMPACT_OPTIONS_INIT;
    struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
    options.horizon = horizon;
    assert_int_equal(weir_engine_compact(store->engine, &options, &report, NULL), 0);
    assert_true(report.steps > 0);
}

void count_rows(struct weir_changes *changes, int *ret_rows, int *ret_events)
{
    struct weir_event events[EVENTS];
    int count;
    *ret_rows = *ret_events = 0;
    while ((count = weir_changes_next(changes, events, EVENTS)) > 0) {
        for (int i = 0; i < count; i++) {
            *ret_rows += events[i].state ? 1 : 0;
            *ret_events += events[i].state ? 0 : 1;
            assert_true(!events[i].state || *ret_events == 0);
        }
    }
    assert_int_equal(count, 0);
}
