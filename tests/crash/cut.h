/* Which crash images there are: all that a power cut may leave of a simulated medium at one moment.
 *
 *     struct cut_plan plan = {.subsets_of = 14, .random = 32, .seed = 7};
 *     cut_begin(&plan, medium);
 *     while (cut_next(&plan, &image)) { ...; image->ops->destroy(image); }
 *
 * With up to `subsets_of` pieces that may survive or not: every subset, and each piece torn. With
 * more: every subset of their blocks of 4096 where there are few enough of those; nothing,
 * everything, each piece alone kept, each alone lost, pairs, torn pieces, and random subsets.
 */
#ifndef TESTS_CRASH_CUT_H
#define TESTS_CRASH_CUT_H

#include "base/random.h"
#include "sim/memory.h"

#define CUT_PIECES_MAX 64u

enum cut_kind {
    CUT_TREE = 0, /* every subset, by pieces */
    CUT_TREE_OF_BLOCKS,
    CUT_ALL,
    CUT_NONE,
    CUT_ONE_KEPT,
    CUT_ONE_LOST,
    CUT_TWO_KEPT,
    CUT_ONE_TORN, /* and what is older kept, what is younger lost */
    CUT_RANDOM,
    CUT_RANDOM_TORN,
    CUT_END,
};

struct cut_plan {
    unsigned subsets_of; /* at most CUT_PIECES_MAX */
    unsigned random;     /* random subsets, where not all of them are taken */
    uint64_t seed;

    struct weir_medium *medium;
    struct base_prng prng;
    enum cut_kind kind;
    unsigned pieces, blocks; /* when everything survives */
    unsigned first, second;  /* of the kinds that count */
    unsigned density;        /* of 8, for random ones */

    /* During one cut. */
    unsigned asked;
    const char *last_name;
    uint64_t last_block;
    uint64_t last_answer;
    bool has_last;
    unsigned depth; /* of the tree: answers so far */
    bool answers[CUT_PIECES_MAX];
};

void cut_begin(struct cut_plan *plan, struct weir_medium *medium);

/* False at the end. The image is the caller's. */
bool cut_next(struct cut_plan *plan, struct weir_medium **ret_image);

#endif
