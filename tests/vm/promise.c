/* Promises on a disk, and the records that they are about. */
#include "tests/vm/promise.h"

#include "base/le.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC UINT64_C(0x6573696d6f725057) /* "WPromise" */

static uint64_t place(const struct promises *promises, unsigned run, unsigned thread)
{
    return promises->offset + ((uint64_t)run * PROMISE_THREADS + thread) * PROMISE_BLOCK;
}

bool promises_open(struct promises *promises, const char *disk, uint64_t offset, bool writable)
{
    *promises = (struct promises){.fd = -1, .offset = offset};
    promises->fd = open(disk, (writable ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC);
    _Alignas(4096) static uint64_t block[PROMISE_BLOCK / sizeof(uint64_t)];
    for (unsigned run = 0; run < PROMISE_RUNS && promises->fd >= 0; run++) {
        for (unsigned thread = 0; thread < PROMISE_THREADS; thread++) {
            if (pread(promises->fd, block, sizeof block, (off_t)place(promises, run, thread)) !=
                (ssize_t)sizeof block) {
                return false;
            }
            if (block[0] == MAGIC) {
                promises->of[run][thread] =
                    (struct promise){block[1], block[2], block[3], block[4]};
            }
        }
    }
    return promises->fd >= 0;
}

void promise_keep(const struct promises *promises, unsigned run, unsigned thread)
{
    _Alignas(4096) uint64_t block[PROMISE_BLOCK / sizeof(uint64_t)] = {0};
    const struct promise *promise = &promises->of[run][thread];
    block[0] = MAGIC;
    block[1] = promise->opened;
    block[2] = promise->number;
    block[3] = promise->lsn;
    block[4] = promise->truncated;
    if (pwrite(promises->fd, block, sizeof block, (off_t)place(promises, run, thread)) !=
        (ssize_t)sizeof block) {
        perror("the disk takes no promise");
        exit(1);
    }
}

unsigned promises_runs(const struct promises *promises)
{
    unsigned runs = 0;
    while (runs < PROMISE_RUNS && promises->of[runs][0].opened != 0) {
        runs++;
    }
    return runs;
}

/* ---- records ---- */

static struct base_prng prng_of(struct origin origin)
{
    uint64_t seed = (uint64_t)origin.number << 16 | (uint64_t)origin.run << 4 | origin.thread;
    struct base_prng prng;
    base_prng_seed(&prng, seed);
    return prng;
}

size_t vm_record_make(struct origin origin, uint8_t bytes[RECORD_MOST])
{
    struct base_prng prng = prng_of(origin);
    size_t most = base_prng_below(&prng, 8) == 0 ? RECORD_MOST : 300;
    size_t size = RECORD_LEAST + (size_t)base_prng_below(&prng, most - RECORD_LEAST + 1);
    memcpy(bytes, &origin.run, 4);
    memcpy(bytes + 4, &origin.thread, 4);
    memcpy(bytes + 8, &origin.number, 4);
    for (size_t i = RECORD_LEAST; i < size; i++) {
        bytes[i] = (uint8_t)base_prng_below(&prng, 256);
    }
    return size;
}

bool vm_record_read(const void *bytes, size_t size, struct origin *ret_origin)
{
    uint8_t expected[RECORD_MOST];
    struct origin origin;
    if (size < RECORD_LEAST || size > RECORD_MOST) {
        return false;
    }
    memcpy(&origin.run, bytes, 4);
    memcpy(&origin.thread, (const uint8_t *)bytes + 4, 4);
    memcpy(&origin.number, (const uint8_t *)bytes + 8, 4);
    if (origin.run >= PROMISE_RUNS || origin.thread >= PROMISE_THREADS || origin.number == 0) {
        return false;
    }
    *ret_origin = origin;
    return vm_record_make(origin, expected) == size && memcmp(expected, bytes, size) == 0;
}
