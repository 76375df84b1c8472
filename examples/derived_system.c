/* A derived system of one's own: how many orders there are, and what they are worth together.
 *
 *     example_derived_system DIRECTORY
 *
 * What it is made of stands between the two lines; the rest is what any program does with one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

/* ---- the system ---- */

struct turnover {
    int64_t orders, cents;
};

static int64_t cents_in(struct weir_bytes value)
{
    char text[24] = "";
    if (value.size > 0) { /* else there may be no data at all: NULL */
        memcpy(text, value.data, value.size < sizeof text ? value.size : sizeof text - 1);
    }
    return strtoll(text, NULL, 10);
}

/* An insert has no before, a remove has no after: both are 0 then. */
static int turnover_apply(void *self, const struct weir_event *event)
{
    struct turnover *turnover = self;
    turnover->orders += (event->operation == WEIR_INSERT) - (event->operation == WEIR_REMOVE);
    turnover->cents += cents_in(event->after) - cents_in(event->before);
    return 0;
}

static void turnover_reset(void *self)
{
    *(struct turnover *)self = (struct turnover){0, 0};
}

static int turnover_save(void *self, struct weir_state_writer *writer)
{
    return weir_state_write(writer, self, sizeof(struct turnover));
}

static int turnover_load(void *self, struct weir_state_reader *reader)
{
    return weir_state_read(reader, self, sizeof(struct turnover));
}

static void turnover_fingerprint(void *self, uint8_t ret_fingerprint[16])
{
    memcpy(ret_fingerprint, self, sizeof(struct turnover));
}

static const struct weir_system_ops turnover_ops = {
    .size = sizeof turnover_ops,
    .kind = "turnover",
    .version = 1,
    .apply = turnover_apply,
    .reset = turnover_reset,
    .save = turnover_save,
    .load = turnover_load,
    .fingerprint = turnover_fingerprint,
};

/* ---- a program that uses it ---- */

static int run(struct weir_engine *engine, struct weir_host *host, struct turnover *turnover)
{
    struct weir_system system = WEIR_SYSTEM_INIT;
    system.name = "turnover";
    system.ops = &turnover_ops;
    system.self = turnover;
    int rc = weir_host_attach(host, &system, NULL); /* with what was saved, or from the beginning */
    if (rc < 0) {
        return rc;
    }
    printf("so far: %" PRId64 " orders, %" PRId64 " cents\n", turnover->orders, turnover->cents);
    (void)weir_put(engine, 0, WEIR_TEXT("order 1"), WEIR_TEXT("1250"), WEIR_GROUP, NULL);
    (void)weir_put(engine, 0, WEIR_TEXT("order 2"), WEIR_TEXT("800"), WEIR_GROUP, NULL);
    (void)weir_put(engine, 0, WEIR_TEXT("order 1"), WEIR_TEXT("1000"), WEIR_GROUP, NULL);
    (void)weir_delete(engine, 0, WEIR_TEXT("order 0"), WEIR_GROUP, NULL); /* was never there */
    rc = weir_put(engine, 0, WEIR_TEXT("order 3"), WEIR_TEXT("50"), WEIR_EACH, NULL);
    rc = rc < 0 ? rc : weir_host_flush(host, NULL, 0);
    if (rc < 0) {
        return rc;
    }
    printf("now: %" PRId64 " orders, %" PRId64 " cents\n", turnover->orders, turnover->cents);
    struct turnover fresh;
    struct weir_host_verify_report report = WEIR_HOST_VERIFY_REPORT_INIT;
    rc = weir_host_verify(host, "turnover", &fresh, NULL, NULL, &report, NULL);
    if (rc == 0) {
        printf("rebuilt from the log: %s\n", report.equal ? "the same" : "something else");
    }
    return rc;
}

int main(int argc, char **argv)
{
    struct weir_log *log = NULL;
    struct weir_engine *engine = NULL;
    struct weir_host *host = NULL;
    struct turnover turnover;
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.flags = WEIR_LOG_CREATE;
    int rc = weir_log_open(argc > 1 ? argv[1] : "shop.log", &options, &log, NULL);
    rc = rc < 0 ? rc : weir_engine_open(log, NULL, &engine, NULL);
    rc = rc < 0 ? rc : weir_host_open(engine, NULL, &host);
    rc = rc < 0 ? rc : run(engine, host, &turnover);
    int closed = weir_host_close(host); /* saves state and position, together */
    rc = rc < 0 ? rc : closed;
    if (engine != NULL) {
        (void)weir_engine_close(engine);
    }
    (void)weir_log_close(log);
    if (rc < 0) {
        fprintf(stderr, "%s\n", weir_error_text(rc));
    }
    return rc < 0;
}
