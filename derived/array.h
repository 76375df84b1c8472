/*
 * Arrays that grow: one element for each number of a dictionary, zero at first.
 */
#ifndef DERIVED_ARRAY_H
#define DERIVED_ARRAY_H

#include <stddef.h>
#include <stdint.h>

/* Room for `wanted` elements of `size` bytes: 0; -ENOMEM (nothing changed). What is new is zero.
 * An array with room for none is NULL. */
int array_room(void **array, uint32_t *capacity, uint64_t wanted, size_t size);

/* @param capacity, size  as array_room() has left them. */
void array_free(void *array, uint32_t capacity, size_t size);

#endif
