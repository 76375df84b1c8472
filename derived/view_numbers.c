/*
 * A treap: a search tree by number that is a heap by priority.
 *
 * The priority of a number is a hash of it, so a set has one shape, whatever the order in which it
 * came about, and is as deep as a random tree: 2 log2 n on average.
 *
 *   add:    go down while priorities are higher; cut what is there in two at the number, under it
 *   remove: join the two sides of the node in its place
 *
 * Failure: -ENOMEM before anything is changed.
 *
 * Invariants: left < node < right; no child has a higher priority. Nothing is recursive: numbers
 * that were chosen to make a deep tree make it slow, and no more than that.
 */
#include "derived/view_numbers.h"

#include "base/assert.h"

#include <errno.h>

struct node {
    struct weir_decimal number;
    uint32_t left, right; /* SLAB_NONE: no more */
    uint32_t count;
    uint32_t priority;
};

_Static_assert(sizeof(struct node) == 32, "32 bytes a number");

static struct node *at(const struct slab *slab, uint32_t block)
{
    return slab_at(slab, block);
}

/* The finalizer of splitmix64 over both halves. */
static uint32_t priority_of(decimal_units number)
{
    struct weir_decimal decimal = decimal_from_units(number);
    uint64_t mixed = decimal.low ^ (uint64_t)decimal.high * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(mixed >> 32);
}

/* Where a number hangs, or would: SLAB_NONE is there, then. */
static uint32_t *find(const struct slab *slab, uint32_t *place, decimal_units number)
{
    while (*place != SLAB_NONE) {
        struct node *node = at(slab, *place);
        decimal_units here = decimal_to_units(node->number);
        if (here == number) {
            break;
        }
        place = number < here ? &node->left : &node->right;
    }
    return place;
}

bool view_numbers_contain(const struct slab *slab, uint32_t root, decimal_units number)
{
    return *find(slab, &root, number) != SLAB_NONE;
}

/* Cuts a tree in which the number is not: what is less goes to *left, the rest to *right. */
static void split(const struct slab *slab, uint32_t root, decimal_units number, uint32_t *left,
                  uint32_t *right)
{
    while (root != SLAB_NONE) {
        struct node *node = at(slab, root);
        if (decimal_to_units(node->number) < number) {
            *left = root;
            left = &node->right;
            root = *left;
        } else {
            *right = root;
            right = &node->left;
            root = *right;
        }
    }
    *left = SLAB_NONE;
    *right = SLAB_NONE;
}

/* Joins two trees, all of the left one less than all of the right one, at *place. */
static void join(const struct slab *slab, uint32_t left, uint32_t right, uint32_t *place)
{
    while (left != SLAB_NONE && right != SLAB_NONE) {
        if (at(slab, left)->priority >= at(slab, right)->priority) {
            *place = left;
            place = &at(slab, left)->right;
            left = *place;
        } else {
            *place = right;
            place = &at(slab, right)->left;
            right = *place;
        }
    }
    *place = left != SLAB_NONE ? left : right;
}

/* The highest place on the way to a number whose node has a lower priority. */
static uint32_t *find_by_priority(const struct slab *slab, uint32_t *place, decimal_units number,
                                  uint32_t priority)
{
    while (*place != SLAB_NONE) {
        struct node *node = at(slab, *place);
        if (node->priority < priority) {
            break;
        }
        place = number < decimal_to_units(node->number) ? &node->left : &node->right;
    }
    return place;
}

int view_numbers_put(struct slab *slab, uint32_t *root, struct view_number entry)
{
    uint32_t priority = priority_of(entry.number);
    uint32_t block;
    int rc = slab_alloc(slab, sizeof(struct node), &block);
    if (rc < 0) {
        return rc;
    }
    uint32_t *place = find_by_priority(slab, root, entry.number, priority);
    struct node *node = at(slab, block);
    node->number = decimal_from_units(entry.number);
    node->count = entry.count;
    node->priority = priority;
    split(slab, *place, entry.number, &node->left, &node->right);
    *place = block;
    return 0;
}

int view_numbers_add(struct slab *slab, uint32_t *root, decimal_units number)
{
    uint32_t block = *find(slab, root, number);
    if (block != SLAB_NONE) {
        WEIR_ASSERT(at(slab, block)->count < UINT32_MAX);
        at(slab, block)->count++;
        return 0;
    }
    return view_numbers_put(slab, root, (struct view_number){number, 1});
}

void view_numbers_remove(struct slab *slab, uint32_t *root, decimal_units number)
{
    uint32_t *place = find(slab, root, number);
    WEIR_ASSERT(*place != SLAB_NONE);
    uint32_t block = *place;
    struct node *node = at(slab, block);
    if (--node->count == 0) {
        join(slab, node->left, node->right, place);
        slab_free(slab, block, sizeof *node);
    }
}

static bool give(const struct slab *slab, uint32_t block, struct view_number *ret_entry)
{
    if (block == SLAB_NONE) {
        return false;
    }
    const struct node *node = at(slab, block);
    *ret_entry = (struct view_number){decimal_to_units(node->number), node->count};
    return true;
}

bool view_numbers_first(const struct slab *slab, uint32_t root, struct view_number *ret_entry)
{
    while (root != SLAB_NONE && at(slab, root)->left != SLAB_NONE) {
        root = at(slab, root)->left;
    }
    return give(slab, root, ret_entry);
}

bool view_numbers_last(const struct slab *slab, uint32_t root, struct view_number *ret_entry)
{
    while (root != SLAB_NONE && at(slab, root)->right != SLAB_NONE) {
        root = at(slab, root)->right;
    }
    return give(slab, root, ret_entry);
}

bool view_numbers_above(const struct slab *slab, uint32_t root, decimal_units number,
                        struct view_number *ret_entry)
{
    uint32_t found = SLAB_NONE;
    while (root != SLAB_NONE) {
        const struct node *node = at(slab, root);
        if (number < decimal_to_units(node->number)) {
            found = root;
            root = node->left;
        } else {
            root = node->right;
        }
    }
    return give(slab, found, ret_entry);
}
