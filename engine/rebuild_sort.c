/*
 * Sorting a bucket by words, stably.
 *
 * Happy path: the span of the words is divided into as many steps as there are entries; one pass
 * counts, one scatters, and hardly anything is left to be inserted where it belongs. What is in
 * order already is only copied.
 *
 * Failure modes: none. Words that crowd into few steps are sorted step by step, each with a span of
 * its own: at most some dozen times, as each time the span becomes thousands of times smaller, or
 * the crowd is small.
 *
 * Invariants: entries of equal words keep their order: the newest stays the last.
 */
#include "engine/rebuild.h"

#define FEW 24u   /* entries that are inserted one by one */
#define CROWD 24u /* entries in one step that are sorted by themselves */
#define STEPS_LEAST 64u

struct span {
    uint64_t least, most;
    bool ascending;
};

static struct span look(const struct rebuild_entry *entries, size_t count)
{
    struct span span = {entries[0].word, entries[0].word, true};
    uint64_t before = entries[0].word;
    for (size_t i = 1; i < count; i++) {
        uint64_t word = entries[i].word;
        span.least = word < span.least ? word : span.least;
        span.most = word > span.most ? word : span.most;
        span.ascending &= before <= word;
        before = word;
    }
    return span;
}

static void insert_all(struct rebuild_entry *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct rebuild_entry entry = entries[i];
        size_t at = i;
        for (; at > 0 && entries[at - 1].word > entry.word; at--) {
            entries[at] = entries[at - 1];
        }
        entries[at] = entry;
    }
}

/* So many bits are below the steps. */
static uint32_t shift_for(const struct span *span, size_t count)
{
    uint64_t steps = STEPS_LEAST;
    while (steps < count && steps < REBUILD_COUNTS) {
        steps *= 2;
    }
    uint32_t shift = 0;
    while ((span->most - span->least) >> shift >= steps) {
        shift++;
    }
    return shift;
}

/* Returns how many entries the fullest step has. */
static uint32_t scatter(struct rebuild_entry *target, const struct rebuild_entry *source,
                        size_t count, const struct span *span, uint32_t shift, uint32_t *counts)
{
    size_t steps = (size_t)((span->most - span->least) >> shift) + 1;
    memset(counts, 0, steps * sizeof *counts);
    for (size_t i = 0; i < count; i++) {
        counts[(source[i].word - span->least) >> shift]++;
    }
    uint32_t sum = 0, fullest = 0;
    for (size_t step = 0; step < steps; step++) {
        uint32_t here = counts[step];
        fullest = here > fullest ? here : fullest;
        counts[step] = sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++) {
        target[counts[(source[i].word - span->least) >> shift]++] = source[i];
    }
    return fullest;
}

static void sort_steps(struct rebuild_entry *target, struct rebuild_entry *source, size_t count,
                       uint64_t least, uint32_t shift, uint32_t *counts)
{
    for (size_t begin = 0, end; begin < count; begin = end) {
        uint64_t step = (target[begin].word - least) >> shift;
        for (end = begin + 1; end < count && (target[end].word - least) >> shift == step; end++) {
        }
        if (end - begin > CROWD && shift > 0) {
            memcpy(source + begin, target + begin, (end - begin) * sizeof *source);
            rebuild_sort(target + begin, source + begin, end - begin, counts);
        } else if (shift > 0) {
            insert_all(target + begin, end - begin);
        }
    }
}

void rebuild_sort(struct rebuild_entry *target, struct rebuild_entry *source, size_t count,
                  uint32_t *counts)
{
    if (count == 0) {
        return;
    }
    struct span span = look(source, count);
    if (span.ascending || count <= FEW) {
        memcpy(target, source, count * sizeof *target);
        if (!span.ascending) {
            insert_all(target, count);
        }
        return;
    }
    uint32_t shift = shift_for(&span, count);
    uint32_t fullest = scatter(target, source, count, &span, shift, counts);
    if (shift > 0 && fullest > CROWD) {
        sort_steps(target, source, count, span.least, shift, counts);
    } else if (shift > 0) {
        insert_all(target, count);
    }
}
