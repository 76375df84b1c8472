/*
 * The verdict as a table: the first row whose condition holds decides.
 *
 * The order matters only for which reason is given. First what makes all other evidence doubtful
 * (CONTROL is not of this moment, bytes are not there to look at), then records that are gone, then
 * what is impossible although no record is known to be gone. What no row catches is a torn tail.
 *
 * No row says "damaged" because of x alone: an unclean end looks like that every time. And no row
 * says "damaged" because a valid group follows: of the writes that were in flight any subset may
 * have landed.
 */
#include "wal/verdict.h"

#include "base/assert.h"

#include <stddef.h>

static bool control_is_older(const struct verdict_input *input)
{
    return input->newer_epoch;
}

static bool file_is_short(const struct verdict_input *input)
{
    return input->file_short;
}

static bool header_is_damaged(const struct verdict_input *input)
{
    return input->header_damaged;
}

/* Behind x there was something durable: whatever made it invalid, it was not a torn write. */
static bool x_was_durable(const struct verdict_input *input)
{
    return input->later_durable || input->below_witness || input->beyond_run_ahead;
}

static bool durable_bytes_are_unreadable(const struct verdict_input *input)
{
    return input->unreadable && x_was_durable(input);
}

static bool records_are_lost(const struct verdict_input *input)
{
    return input->later_durable;
}

static bool witnessed_group_is_lost(const struct verdict_input *input)
{
    return input->below_witness;
}

static bool hole(const struct verdict_input *input)
{
    return input->beyond_run_ahead;
}

/* After a clean close the log ends exactly at the witness, and nothing was in flight. */
static bool clean_end_is_not_exact(const struct verdict_input *input)
{
    return input->clean && (!input->at_witness || input->later_group);
}

static const struct {
    bool (*holds)(const struct verdict_input *input);
    enum verdict verdict;
} table[] = {
    {control_is_older, VERDICT_ROLLED_BACK},
    {file_is_short, VERDICT_CUT_SHORT},
    {header_is_damaged, VERDICT_HEADER_DAMAGED},
    {durable_bytes_are_unreadable, VERDICT_UNREADABLE},
    {records_are_lost, VERDICT_LOST},
    {witnessed_group_is_lost, VERDICT_WITNESS_DAMAGED},
    {hole, VERDICT_HOLE},
    {clean_end_is_not_exact, VERDICT_NOT_CLEAN},
};

enum verdict verdict_decide(const struct verdict_input *input)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].holds(input)) {
            return table[i].verdict;
        }
    }
    return VERDICT_OPEN;
}

int verdict_error(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_OPEN:
        return 0;
    case VERDICT_ROLLED_BACK:
        return WEIR_E_ROLLED_BACK;
    case VERDICT_CUT_SHORT:
        return WEIR_E_CUT_SHORT;
    case VERDICT_LOST:
        return WEIR_E_LOST;
    case VERDICT_HOLE:
        return WEIR_E_HOLE;
    case VERDICT_HEADER_DAMAGED:
    case VERDICT_UNREADABLE:
    case VERDICT_WITNESS_DAMAGED:
    case VERDICT_NOT_CLEAN:
        return WEIR_E_DAMAGED;
    }
    WEIR_UNREACHABLE();
}
