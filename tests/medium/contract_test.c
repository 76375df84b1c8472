/*
 * Every medium keeps the contract of weir/medium.h: each sentence of it is a test that runs on all
 * of them, named medium/sentence. The first argument filters by pattern: "direct_sync*".
 */
#include "tests/medium/contract.h"

#define NAME_MAX_BYTES 160

static int set_up(void **state)
{
    const struct subject *subject = *state;
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    *state = fixture;
    int rc = fixture_make(fixture, subject);
    if (rc < 0) {
        print_error("%s: %s (%s)\n", subject->name, fixture->reason, weir_error_text(rc));
    }
    return rc;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    fixture_remove(fixture);
    free(fixture);
    return 0;
}

static struct CMUnitTest make_test(char *name, const struct subject *subject,
                                   const struct contract_test *test)
{
    snprintf(name, NAME_MAX_BYTES, "%s/%s", subject->name, test->name);
    /* The cast drops const: set_up reads it as what it is. */
    return (struct CMUnitTest){name, test->run, set_up, tear_down, (void *)(uintptr_t)subject};
}

int main(int argc, char **argv)
{
    size_t per_subject = store_contract_count + window_contract_count;
    size_t count = subject_count * per_subject;
    struct CMUnitTest *tests = calloc(count, sizeof *tests);
    char(*names)[NAME_MAX_BYTES] = calloc(count, sizeof *names);
    if (tests == NULL || names == NULL) {
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        const struct subject *subject = &subjects[i / per_subject];
        size_t k = i % per_subject;
        const struct contract_test *test = k < store_contract_count
                                               ? &store_contract[k]
                                               : &window_contract[k - store_contract_count];
        tests[i] = make_test(names[i], subject, test);
    }
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    int failures = _cmocka_run_group_tests("medium contract", tests, count, NULL, NULL);
    free(tests);
    free(names);
    return failures;
}
