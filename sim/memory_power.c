/*
 * What a test does to a simulated medium from outside: cuts its power, kills its process, makes its
 * calls fail, looks at its bytes.
 *
 * Happy path: a cut or a copy makes a fresh disk, with a medium like this one on it, and fills it
 * from this disk under its lock. Failure modes: no memory: nothing has changed.
 */
#include "base/assert.h"
#include "sim/memory_medium.h"

#define BLOCK_BYTES 4096u

static struct sim_memory *memory_of(struct weir_medium *medium)
{
    return (struct sim_memory *)medium;
}

struct sim_disk *sim_memory_disk(struct weir_medium *medium)
{
    return memory_of(medium)->disk;
}

void sim_memory_faults_set(struct weir_medium *medium, const struct sim_memory_faults *faults)
{
    memory_of(medium)->options.faults = *faults;
}

uint32_t sim_memory_unit(struct weir_medium *medium)
{
    bool is_pmem = memory_of(medium)->options.block_bytes != BLOCK_BYTES;
    return is_pmem ? SIM_LINE_BYTES : SIM_SECTOR_BYTES;
}

/* A medium like this one, on a disk of its own that is empty. */
static int open_fresh(const struct sim_memory *self, struct weir_medium **ret_medium)
{
    struct sim_memory_options options = self->options;
    options.disk = NULL;
    options.capacity_bytes = self->disk->capacity_bytes;
    options.faults = (struct sim_memory_faults){0};
    options.misplace = NULL;
    return sim_memory_open(&options, ret_medium);
}

int sim_memory_cut(struct weir_medium *medium, sim_memory_tear_fn tear, void *context,
                   struct weir_medium **ret_medium)
{
    struct sim_memory *self = memory_of(medium);
    struct weir_medium *fresh;
    int rc = open_fresh(self, &fresh);
    if (rc < 0) {
        return rc;
    }
    base_lock_acquire(&self->disk->lock);
    rc = sim_disk_survive(self->disk, sim_memory_disk(fresh), tear, context);
    base_lock_release(&self->disk->lock);
    if (rc < 0) {
        fresh->ops->destroy(fresh);
        return rc;
    }
    *ret_medium = fresh;
    return 0;
}

int sim_memory_copy(struct weir_medium *medium, struct weir_medium **ret_medium)
{
    struct sim_memory *self = memory_of(medium);
    struct weir_medium *fresh;
    int rc = open_fresh(self, &fresh);
    if (rc < 0) {
        return rc;
    }
    base_lock_acquire(&self->disk->lock);
    rc = sim_disk_copy(self->disk, sim_memory_disk(fresh));
    base_lock_release(&self->disk->lock);
    if (rc < 0) {
        fresh->ops->destroy(fresh);
        return rc;
    }
    *ret_medium = fresh;
    return 0;
}

struct keeping {
    sim_memory_keep_fn keep;
    void *context;
};

static uint64_t keep_whole(void *context, const char *name, uint64_t offset)
{
    const struct keeping *keeping = context;
    return keeping->keep(keeping->context, name, offset) ? UINT64_MAX : 0;
}

int sim_memory_crash(struct weir_medium *medium, sim_memory_keep_fn keep, void *context,
                     struct weir_medium **ret_medium)
{
    struct keeping keeping = {keep, context};
    return sim_memory_cut(medium, keep != NULL ? keep_whole : NULL, &keeping, ret_medium);
}

uint64_t sim_memory_digest(struct weir_medium *medium)
{
    struct sim_disk *disk = memory_of(medium)->disk;
    base_lock_acquire(&disk->lock);
    uint64_t digest = sim_disk_digest(disk);
    base_lock_release(&disk->lock);
    return digest;
}

uint64_t sim_memory_changes(struct weir_medium *medium)
{
    struct sim_disk *disk = memory_of(medium)->disk;
    base_lock_acquire(&disk->lock);
    uint64_t changes = disk->changes;
    base_lock_release(&disk->lock);
    return changes;
}

uint64_t sim_memory_trace(struct weir_medium *medium)
{
    struct sim_disk *disk = memory_of(medium)->disk;
    base_lock_acquire(&disk->lock);
    uint64_t trace = disk->trace;
    base_lock_release(&disk->lock);
    return trace;
}

void sim_memory_kill(struct weir_medium *medium)
{
    struct sim_memory *self = memory_of(medium);
    base_lock_acquire(&self->disk->lock);
    self->dead = true;
    for (struct weir_file *file = self->files; file != NULL; file = file->next_of_medium) {
        file->lock = WEIR_LOCK_NONE;
    }
    for (uint32_t i = 0; i < self->operation_count; i++) {
        sim_operation_arrive(&self->operations[i]);
    }
    base_lock_release(&self->disk->lock);
}

uint8_t *sim_memory_bytes(struct weir_medium *medium, const char *name, bool durable,
                          uint64_t *ret_size_bytes)
{
    struct sim_disk *disk = memory_of(medium)->disk;
    base_lock_acquire(&disk->lock);
    struct sim_node *node = sim_disk_find(disk, name);
    struct sim_image *image = node == NULL ? NULL : durable ? &node->durable : &node->current;
    uint8_t *bytes = image != NULL ? sim_image_flatten(image) : NULL;
    if (bytes != NULL) {
        *ret_size_bytes = image->size_bytes;
    }
    base_lock_release(&disk->lock);
    return bytes;
}
