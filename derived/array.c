/*
 * Arrays that grow by half; large ones lie in pages of their own, huge ones where there are.
 *
 * Failure: -ENOMEM, the array is as it was.
 */
#include "derived/array.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

#define CAPACITY_MIN 16u
#define PAGES_FROM ((size_t)2 << 20) /* bytes */

void array_free(void *array, uint32_t capacity, size_t size)
{
    if (capacity * size >= PAGES_FROM) {
        base_pages_free(array, capacity * size);
    } else {
        base_free(array);
    }
}

int array_room(void **array, uint32_t *capacity, uint64_t wanted, size_t size)
{
    if (wanted <= *capacity) {
        return 0;
    }
    uint64_t grown = *capacity + *capacity / 2;
    grown = grown < wanted ? wanted : grown;
    grown = grown < CAPACITY_MIN ? CAPACITY_MIN : grown;
    grown = grown > UINT32_MAX ? UINT32_MAX : grown;
    size_t total = (size_t)grown * size;
    void *made = wanted > UINT32_MAX   ? NULL
                 : total >= PAGES_FROM ? base_pages_alloc(total, BASE_PAGES_HUGE)
                                       : base_alloc_zero(total);
    if (made == NULL) {
        return -ENOMEM;
    }
    if (*capacity > 0) {
        memcpy(made, *array, *capacity * size);
    }
    array_free(*array, *capacity, size);
    *array = made;
    *capacity = (uint32_t)grown;
    return 0;
}
