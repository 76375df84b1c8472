/* The bytes of a simulated file: pages that images share until one of them writes, or one flat
 * range where somebody needs a pointer.
 *
 * Internal to sim/. Called with the disk's lock held; pages may be shared with other disks.
 */
#ifndef SIM_IMAGE_H
#define SIM_IMAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_PAGE_BYTES 4096u

struct sim_page {
    _Atomic uint32_t references;
    _Atomic uint64_t digest; /* of the bytes; 0 = not computed yet */
    uint8_t bytes[SIM_PAGE_BYTES];
};

/* All zero is an empty image. */
struct sim_image {
    struct sim_page **pages; /* NULL entries are zeros; unused while flat */
    uint8_t *flat;           /* instead of pages; fixed in place */
    uint64_t size_bytes;
    uint64_t capacity_bytes; /* of pages or flat; a multiple of SIM_PAGE_BYTES */
};

void sim_image_free(struct sim_image *image);

/* Grows with zeros, never shrinks. -ENOMEM; -EBUSY: a flat image would move and may_move is false.
 */
int sim_image_grow(struct sim_image *image, uint64_t size_bytes, bool may_move);

/* Inside size_bytes. */
void sim_image_read(const struct sim_image *image, uint64_t offset, void *buffer,
                    size_t size_bytes);
int sim_image_write(struct sim_image *image, uint64_t offset, const void *data, size_t size_bytes);

/* `to` is empty, and shares the pages of `from` afterwards. -ENOMEM: `to` is empty. */
int sim_image_clone(struct sim_image *to, const struct sim_image *from);

/* The bytes as one range that stays where it is until the image grows or is freed. NULL: no memory.
 */
uint8_t *sim_image_flatten(struct sim_image *image);

/* Equal images have equal digests. */
uint64_t sim_image_digest(const struct sim_image *image);

/* Mixes a value into a digest. */
uint64_t sim_digest(uint64_t digest, uint64_t value);
uint64_t sim_digest_bytes(uint64_t digest, const void *bytes, size_t size_bytes);

#endif
