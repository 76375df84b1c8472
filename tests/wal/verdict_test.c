/*
 * The recovery decision: all combinations of its inputs, against a table that was written down on
 * its own, with don't-cares, whose rows are disjoint and complete.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wal/verdict.h"

#include <string.h>

#define INPUTS 10u

/* newer epoch, short file, header damaged, unreadable | later LSN durable, below witness, beyond
 * W | later group, clean, at the witness */
static const struct {
    const char *inputs;
    enum verdict expected;
} oracle[] = {
    {"1--- --- ---", VERDICT_ROLLED_BACK},    {"01-- --- ---", VERDICT_CUT_SHORT},
    {"001- --- ---", VERDICT_HEADER_DAMAGED}, {"0001 1-- ---", VERDICT_UNREADABLE},
    {"0001 01- ---", VERDICT_UNREADABLE},     {"0001 001 ---", VERDICT_UNREADABLE},
    {"0000 1-- ---", VERDICT_LOST},           {"0000 01- ---", VERDICT_WITNESS_DAMAGED},
    {"0000 001 ---", VERDICT_HOLE},           {"000- 000 -10", VERDICT_NOT_CLEAN},
    {"000- 000 111", VERDICT_NOT_CLEAN},      {"000- 000 011", VERDICT_OPEN},
    {"000- 000 -0-", VERDICT_OPEN},
};

static struct verdict_input input_of(unsigned bits)
{
    return (struct verdict_input){
        .newer_epoch = (bits & 1) != 0,
        .file_short = (bits & 2) != 0,
        .header_damaged = (bits & 4) != 0,
        .unreadable = (bits & 8) != 0,
        .later_durable = (bits & 16) != 0,
        .below_witness = (bits & 32) != 0,
        .beyond_run_ahead = (bits & 64) != 0,
        .later_group = (bits & 128) != 0,
        .clean = (bits & 256) != 0,
        .at_witness = (bits & 512) != 0,
    };
}

static bool row_matches(const char *row, unsigned bits)
{
    unsigned bit = 0;
    for (const char *c = row; *c != '\0'; c++) {
        if (*c == ' ') {
            continue;
        }
        bool set = (bits >> bit++ & 1) != 0;
        if (*c != '-' && (*c == '1') != set) {
            return false;
        }
    }
    assert_int_equal(bit, INPUTS);
    return true;
}

static void every_combination_of_evidence_has_the_verdict_of_the_table(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 1u << INPUTS; bits++) {
        unsigned rows = 0;
        struct verdict_input input = input_of(bits);
        for (size_t i = 0; i < sizeof oracle / sizeof oracle[0]; i++) {
            if (row_matches(oracle[i].inputs, bits)) {
                rows++;
                assert_int_equal(verdict_decide(&input), oracle[i].expected);
            }
        }
        assert_int_equal(rows, 1);
    }
}

static void more_evidence_of_damage_never_turns_a_refusal_into_an_open(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 1u << INPUTS; bits++) {
        struct verdict_input input = input_of(bits);
        if (verdict_decide(&input) == VERDICT_OPEN) {
            continue;
        }
        for (unsigned bit = 0; bit < INPUTS - 1; bit++) {
            struct verdict_input more = input_of(bits | 1u << bit);
            assert_int_not_equal(verdict_decide(&more), VERDICT_OPEN);
        }
    }
}

static void every_refusal_has_an_error_of_its_kind(void **state)
{
    (void)state;
    assert_int_equal(verdict_error(VERDICT_OPEN), 0);
    assert_int_equal(verdict_error(VERDICT_ROLLED_BACK), WEIR_E_ROLLED_BACK);
    assert_int_equal(verdict_error(VERDICT_CUT_SHORT), WEIR_E_CUT_SHORT);
    assert_int_equal(verdict_error(VERDICT_LOST), WEIR_E_LOST);
    assert_int_equal(verdict_error(VERDICT_HOLE), WEIR_E_HOLE);
    assert_int_equal(verdict_error(VERDICT_HEADER_DAMAGED), WEIR_E_DAMAGED);
    assert_int_equal(verdict_error(VERDICT_UNREADABLE), WEIR_E_DAMAGED);
    assert_int_equal(verdict_error(VERDICT_WITNESS_DAMAGED), WEIR_E_DAMAGED);
    assert_int_equal(verdict_error(VERDICT_NOT_CLEAN), WEIR_E_DAMAGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_combination_of_evidence_has_the_verdict_of_the_table),
        cmocka_unit_test(more_evidence_of_damage_never_turns_a_refusal_into_an_open),
        cmocka_unit_test(every_refusal_has_an_error_of_its_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
