/*
 * No ring can be set up, for each reason that the kernel gives: `auto` runs on the plain calls and
 * says why, io = uring is refused. Then it is set up, and does not run.
 */
#include "tests/fault/inject.h"
#include "tests/fault/scenario.h"
#include "tests/wal/support.h"

#include <errno.h>
#include <string.h>

static const struct scenario_medium *const media[] = {&SCENARIO_MEDIA[0], &SCENARIO_MEDIA[2]};

static int open_with(const struct scenario_medium *medium, const char *directory,
                     enum weir_io_kind io, const struct fault_plan *plan, struct weir_log **ret_log,
                     struct weir_error *why)
{
    struct scenario self = {.medium = medium, .lock_wait_ns = WEIR_NO_WAIT};
    struct weir_log_options options = scenario_options(&self, WEIR_LOG_CREATE);
    options.io = io;
    fault_arm(plan);
    int rc = weir_log_open(directory, &options, ret_log, why);
    (void)fault_disarm();
    return rc;
}

static void expect_fallback(const struct scenario_medium *medium, const struct fault_plan *plan)
{
    char path[256];
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_open_report report = WEIR_OPEN_REPORT_INIT;
    scenario_make_directory(path, sizeof path);
    struct scenario_resources before = scenario_resources(path);
    int rc = open_with(medium, path, WEIR_IO_URING, plan, &log, &why);
    if (fault_strikes() == 0) {
        fail_msg("nothing was made to fail: %s", fault_text());
    }
    assert_true(rc == WEIR_E_MEDIUM || rc == -ENOMEM);
    assert_non_null(strstr(why.text, "io_uring"));

    assert_int_equal(open_with(medium, path, WEIR_IO_AUTO, plan, &log, &why), 0);
    assert_int_equal(weir_log_report(log, &report), 0);
    assert_string_equal(report.medium.io, "sync");
    if (strstr(report.medium.reason, "and fdatasync because ") == NULL ||
        strstr(report.medium.reason, "io_uring") == NULL) {
        fail_msg("%s: the reason is \"%s\"", fault_text(), report.medium.reason);
    }
    append_text(log, "goes without", WEIR_EACH);
    close_log(log);
    struct scenario_resources now = scenario_resources(path);
    assert_memory_equal(&now, &before, sizeof now);
    remove_directory(path);
}

static void without_a_ring_auto_says_why_and_uring_is_refused(void **state)
{
    (void)state;
    unsigned tried = 0;
    for (unsigned i = 0; i < sizeof media / sizeof *media; i++) {
        if (scenario_refusal(media[i]) != NULL) {
            print_message("%s: %s\n", media[i]->name, scenario_refusal(media[i]));
            skip();
        }
        struct fault_plan plan = {.at = 1, .reach = FAULT_SAME_CALL};
        unsigned variants = 1;
        plan.only = FAULT_io_uring_queue_init_params;
        for (plan.variant = 0; plan.variant < variants; plan.variant++, tried++) {
            expect_fallback(media[i], &plan);
            variants = fault_variants();
        }
        plan.only = FAULT_io_uring_submit; /* of the request that proves that it runs */
        variants = 1;
        for (plan.variant = 0; plan.variant < variants; plan.variant++, tried++) {
            expect_fallback(media[i], &plan);
            variants = fault_variants();
        }
    }
    print_message("layer=ring-setup injected=%u violations=0\n", tried);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_ring_auto_says_why_and_uring_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
