#include "tests/engine/support.h"

#include "base/alloc.h"

void fake_log_init(struct fake_log *log, uint64_t capacity)
{
    memset(log, 0, sizeof *log);
    log->keys = calloc(capacity, sizeof *log->keys);
    assert_non_null(log->keys);
    log->capacity = capacity;
}

void fake_log_destroy(struct fake_log *log)
{
    free(log->keys);
}

uint64_t fake_log_append(struct fake_log *log, struct index_key key)
{
    uint64_t place = atomic_fetch_add_explicit(&log->count, 1, memory_order_relaxed);
    if (place >= log->capacity) {
        abort(); /* also called by other threads, where an assert of cmocka is no help */
    }
    log->keys[place] = key;
    return 16 * (place + 1);
}

struct index_key fake_log_key(const struct fake_log *log, uint64_t address)
{
    return log->keys[address / 16 - 1];
}

static int load_key(void *context, uint64_t address, struct index_key *ret_key)
{
    struct fake_log *log = context;
    int damage = atomic_load_explicit(&log->damage, memory_order_relaxed);
    if (damage != 0) {
        return damage;
    }
    atomic_fetch_add_explicit(&log->loads, 1, memory_order_relaxed);
    *ret_key = fake_log_key(log, address);
    return 0;
}

struct index_source world_source(struct world *world)
{
    return (struct index_source){.load = load_key, .context = &world->log};
}

struct world *world_new(uint64_t records, uint64_t arena_bytes)
{
    struct world *world = base_alloc_aligned(BASE_CACHE_LINE, sizeof *world);
    assert_non_null(world);
    fake_log_init(&world->log, records);
    assert_int_equal(epochs_init(&world->epochs), 0);
    assert_int_equal(arena_init(&world->arena, &world->epochs, arena_bytes, ARENA_PAGES_SMALL), 0);
    arena_spare(&world->arena, WORLD_SPARE);
    struct index_source source = world_source(world);
    index_init(&world->index, &world->arena, &source);
    return world;
}

void world_free(struct world *world)
{
    arena_destroy(&world->arena);
    epochs_destroy(&world->epochs);
    fake_log_destroy(&world->log);
    base_free(world);
}

uint64_t world_put(struct world *world, struct index_key key, uint64_t *ret_old)
{
    uint64_t old = 0;
    uint64_t address = fake_log_append(&world->log, key);
    uint32_t slot = epoch_enter(&world->epochs);
    int rc = index_put(&world->index, key, address, &old);
    epoch_leave(&world->epochs, slot);
    assert_int_equal(rc, 0);
    if (ret_old != NULL) {
        *ret_old = old;
    }
    return address;
}

uint64_t world_find(struct world *world, struct index_key key)
{
    uint64_t address = 0;
    uint32_t slot = epoch_enter(&world->epochs);
    int rc = index_find(&world->index, key, &address);
    epoch_leave(&world->epochs, slot);
    assert_int_equal(rc, address != 0);
    return address;
}

void world_check(struct world *world)
{
    const char *what = NULL;
    uint32_t slot = epoch_enter(&world->epochs);
    int rc = index_check(&world->index, &what);
    epoch_leave(&world->epochs, slot);
    if (rc != 0) {
        fail_msg("index_check: %d: %s", rc, what != NULL ? what : "?");
    }
}

int key_compare(const void *left, const void *right)
{
    const struct index_key *a = left;
    const struct index_key *b = right;
    int order = memcmp(a->data, b->data, a->size < b->size ? a->size : b->size);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

void key_set_free(struct key_set *set)
{
    for (uint32_t index = 0; index < set->count; index++) {
        free((void *)(uintptr_t)set->keys[index].data);
    }
    free(set->keys);
}

/* Room for count keys, to be filled by add() and put in order by finish(). */
static struct key_set begin(uint32_t count)
{
    struct key_set set = {.keys = calloc(count, sizeof *set.keys)};
    assert_non_null(set.keys);
    return set;
}

static void add(struct key_set *set, const void *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    assert_non_null(copy);
    memcpy(copy, data, size);
    set->keys[set->count++] = (struct index_key){.data = copy, .size = (uint32_t)size};
}

static struct key_set finish(struct key_set set)
{
    uint32_t kept = 0;
    qsort(set.keys, set.count, sizeof *set.keys, key_compare);
    for (uint32_t index = 0; index < set.count; index++) {
        if (kept != 0 && key_compare(&set.keys[kept - 1], &set.keys[index]) == 0) {
            free((void *)(uintptr_t)set.keys[index].data);
        } else {
            set.keys[kept++] = set.keys[index];
        }
    }
    set.count = kept;
    return set;
}

static void store_big_endian(uint8_t bytes[8], uint64_t value)
{
    for (int index = 0; index < 8; index++) {
        bytes[index] = (uint8_t)(value >> (56 - 8 * index));
    }
}

static struct key_set make_numbers(struct base_prng *prng, uint32_t count)
{
    struct key_set set = begin(count);
    uint64_t start = base_prng_below(prng, 1000);
    for (uint32_t index = 0; index < count; index++) {
        uint8_t bytes[8];
        store_big_endian(bytes, start + index);
        add(&set, bytes, 8);
    }
    return finish(set);
}

static struct key_set make_random(struct base_prng *prng, uint32_t count)
{
    struct key_set set = begin(count);
    for (uint32_t index = 0; index < count; index++) {
        uint8_t bytes[8];
        store_big_endian(bytes, base_prng_next(prng));
        add(&set, bytes, 8);
    }
    return finish(set);
}

static struct key_set make_users(struct base_prng *prng, uint32_t count)
{
    struct key_set set = begin(count);
    for (uint32_t index = 0; index < count; index++) {
        char text[32];
        int size = snprintf(text, sizeof text, "user:%08u",
                            (unsigned)base_prng_below(prng, 4 * (uint64_t)count));
        add(&set, text, (size_t)size);
    }
    return finish(set);
}

/* Short strings of few letters: many are prefixes of others, the empty one among them. */
static struct key_set make_prefixes(struct base_prng *prng, uint32_t count)
{
    static const uint8_t letters[] = {0, 255, 'a', 1};
    struct key_set set = begin(count);
    for (uint32_t index = 0; index < count; index++) {
        uint8_t bytes[12];
        size_t size = (size_t)base_prng_below(prng, sizeof bytes + 1);
        for (size_t place = 0; place < size; place++) {
            bytes[place] = letters[base_prng_below(prng, sizeof letters)];
        }
        add(&set, bytes, size);
    }
    return finish(set);
}

/* Up to 64 KiB, alike for long stretches, some ending inside of others. */
static struct key_set make_long(struct base_prng *prng, uint32_t count)
{
    count = count < 200 ? count : 200;
    struct key_set set = begin(count);
    uint8_t *bytes = malloc(INDEX_KEY_SIZE_MAX);
    assert_non_null(bytes);
    for (uint32_t index = 0; index < count; index++) {
        static const uint32_t marks[] = {0, 1, 7, 8, 9, 100, 4096, 65000, 65534, 65535};
        memset(bytes, 'x', INDEX_KEY_SIZE_MAX);
        for (unsigned change = 0; change < 2; change++) {
            bytes[marks[base_prng_below(prng, COUNT_OF(marks))]] =
                (uint8_t)base_prng_below(prng, 256);
        }
        uint64_t cut = base_prng_below(prng, 3);
        size_t size = cut == 0 ? marks[base_prng_below(prng, COUNT_OF(marks))] : INDEX_KEY_SIZE_MAX;
        add(&set, bytes, size);
    }
    free(bytes);
    return finish(set);
}

/* A chain of keys, each a prefix of the next, with something beside every link. */
static struct key_set make_nested(struct base_prng *prng, uint32_t count)
{
    count = count < 1200 ? count : 1200;
    struct key_set set = begin(count);
    uint8_t bytes[512];
    memset(bytes, 'm', sizeof bytes);
    for (uint32_t index = 0; index < count; index++) {
        size_t size = 1 + index / 3;
        bytes[size - 1] = (uint8_t)(base_prng_below(prng, 2) != 0 ? 'm' : 'a' + index % 26);
        add(&set, bytes, size);
        bytes[size - 1] = 'm';
    }
    return finish(set);
}

static struct key_set make_urls(struct base_prng *prng, uint32_t count)
{
    static const char *const hosts[] = {"www.example.com", "en.wikipedia.org", "example.com",
                                        "a.very.long.host.name.of.somebody.example.net"};
    static const char *const paths[] = {"/", "/wiki/", "/articles/2024/", "/wiki/Special:Search?q=",
                                        "/static/images/thumbnails/large/"};
    struct key_set set = begin(count);
    for (uint32_t index = 0; index < count; index++) {
        char text[160];
        int size = snprintf(text, sizeof text, "https://%s%s%x",
                            hosts[base_prng_below(prng, COUNT_OF(hosts))],
                            paths[base_prng_below(prng, COUNT_OF(paths))],
                            (unsigned)base_prng_below(prng, (uint64_t)count * 8));
        add(&set, text, (size_t)size);
    }
    return finish(set);
}

/* Two bytes, all of them, and each single byte: nodes of 256 entries with an end. */
static struct key_set make_full(struct base_prng *prng, uint32_t count)
{
    struct key_set set = begin(count);
    for (uint32_t index = 0; index < count; index++) {
        uint8_t bytes[2] = {(uint8_t)base_prng_below(prng, 4), (uint8_t)base_prng_below(prng, 256)};
        add(&set, bytes, 1 + (base_prng_below(prng, 16) != 0));
    }
    return finish(set);
}

const struct key_kind key_kinds[] = {
    {"numbers", make_numbers},   {"random", make_random}, {"users", make_users},
    {"prefixes", make_prefixes}, {"long", make_long},     {"nested", make_nested},
    {"urls", make_urls},         {"full", make_full},
};
const unsigned key_kind_count = COUNT_OF(key_kinds);
