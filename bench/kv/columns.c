/* The columns of each kind of measurement. */
#include "bench/kv/columns.h"

#define VALUE(name, expression)                                                                    \
    static double name(const struct kv_outcome *outcome)                                           \
    {                                                                                              \
        return (double)(expression);                                                               \
    }

VALUE(per_s, outcome->per_s)
VALUE(ns, outcome->ns)
VALUE(cpu_ns, outcome->cpu_ns)
VALUE(stolen, outcome->stolen)
VALUE(bytes_per_s, (double)outcome->bytes * outcome->per_s / (double)(outcome->operations + 1))
VALUE(bytes, outcome->bytes)
VALUE(operations, outcome->operations)
VALUE(seconds, outcome->seconds)
VALUE(write_p50, outcome->write_us[0])
VALUE(write_p99, outcome->write_us[1])
VALUE(write_p999, outcome->write_us[2])
VALUE(read_p50, outcome->read_us[0])
VALUE(read_p99, outcome->read_us[1])
VALUE(read_p999, outcome->read_us[2])
VALUE(open_s, outcome->open_s)
VALUE(open_log_s, outcome->facts.open_log_s)
VALUE(load_s, outcome->facts.load_s)
VALUE(walk_s, outcome->facts.walk_s)
VALUE(sort_s, outcome->facts.sort_s)
VALUE(build_s, outcome->facts.build_s)
VALUE(replay_s, outcome->facts.replay_s)
VALUE(keys, outcome->facts.keys)
VALUE(deleted_keys, outcome->facts.deleted_keys)
VALUE(replayed, outcome->facts.replayed_records)
VALUE(from_checkpoint, outcome->facts.from_checkpoint)
VALUE(index_bytes, outcome->facts.index_bytes)
VALUE(index_per_key,
      (double)outcome->facts.index_bytes / (double)(outcome->log_keys > 0 ? outcome->log_keys : 1))
VALUE(window_bytes, outcome->facts.window_bytes)
VALUE(anonymous_bytes, outcome->anonymous_bytes)
VALUE(anonymous_per_key,
      (double)outcome->anonymous_bytes / (double)(outcome->log_keys > 0 ? outcome->log_keys : 1))

double kv_open_seconds(const struct kv_outcome *outcome)
{
    return outcome->first_get_s;
}

static const struct kv_column puts_columns[] = {
    {"records_per_s", "per second", 12, 0, 1.0, per_s},
    {"ns", "ns", 9, 0, 1.0, ns},
    {"cpu_ns", "cpu ns", 8, 0, 1.0, cpu_ns},
    {"stolen_share", "stolen %", 9, 1, 100.0, stolen},
    {"bytes_per_s", "MB/s", 8, 1, 1e-6, bytes_per_s},
    {"p50_us", "p50 us", 8, 1, 1.0, write_p50},
    {"p99_us", "p99 us", 8, 1, 1.0, write_p99},
    {"p999_us", "p99.9", 8, 1, 1.0, write_p999},
    {"bytes", NULL, 0, 0, 1.0, bytes},
    {"operations", NULL, 0, 0, 1.0, operations},
    {"seconds", NULL, 0, 0, 1.0, seconds},
    {NULL, NULL, 0, 0, 0.0, NULL},
};

static const struct kv_column reads_columns[] = {
    {"records_per_s", "per second", 12, 0, 1.0, per_s},
    {"ns", "ns", 9, 1, 1.0, ns},
    {"cpu_ns", "cpu ns", 8, 1, 1.0, cpu_ns},
    {"stolen_share", "stolen %", 9, 1, 100.0, stolen},
    {"bytes_per_s", "MB/s", 8, 1, 1e-6, bytes_per_s},
    {"operations", NULL, 0, 0, 1.0, operations},
    {"seconds", NULL, 0, 0, 1.0, seconds},
    {NULL, NULL, 0, 0, 0.0, NULL},
};

static const struct kv_column mixed_columns[] = {
    {"records_per_s", "per second", 12, 0, 1.0, per_s},
    {"stolen_share", "stolen %", 9, 1, 100.0, stolen},
    {"read_p50_us", "get p50", 8, 2, 1.0, read_p50},
    {"read_p99_us", "p99 us", 8, 2, 1.0, read_p99},
    {"read_p999_us", "p99.9", 8, 1, 1.0, read_p999},
    {"p50_us", "put p50", 8, 1, 1.0, write_p50},
    {"p99_us", "p99 us", 8, 1, 1.0, write_p99},
    {"p999_us", "p99.9", 8, 1, 1.0, write_p999},
    {"bytes_per_s", NULL, 0, 0, 1.0, bytes_per_s},
    {"operations", NULL, 0, 0, 1.0, operations},
    {"seconds", NULL, 0, 0, 1.0, seconds},
    {NULL, NULL, 0, 0, 0.0, NULL},
};

static const struct kv_column open_columns[] = {
    {"records_per_s", "per second", 12, 0, 1.0, per_s},
    {"cpu_ns", "cpu ns", 8, 0, 1.0, cpu_ns},
    {"stolen_share", "stolen %", 9, 1, 100.0, stolen},
    {"open_s", "open ms", 9, 1, 1e3, open_s},
    {"first_get_s", "1st get", 9, 1, 1e3, kv_open_seconds},
    {"open_log_s", "log ms", 8, 1, 1e3, open_log_s},
    {"load_s", "load", 7, 1, 1e3, load_s},
    {"walk_s", "walk", 7, 1, 1e3, walk_s},
    {"sort_s", "sort", 7, 1, 1e3, sort_s},
    {"build_s", "build", 7, 1, 1e3, build_s},
    {"replay_s", "replay", 7, 1, 1e3, replay_s},
    {"live_keys", "keys", 9, 0, 1.0, keys},
    {"deleted_keys", NULL, 0, 0, 1.0, deleted_keys},
    {"replayed_records", NULL, 0, 0, 1.0, replayed},
    {"from_checkpoint", NULL, 0, 0, 1.0, from_checkpoint},
    {NULL, NULL, 0, 0, 0.0, NULL},
};

static const struct kv_column memory_columns[] = {
    {"index_bytes_per_key", "index/key", 10, 1, 1.0, index_per_key},
    {"anonymous_bytes_per_key", "anon/key", 10, 1, 1.0, anonymous_per_key},
    {"anonymous_bytes", "anon MB", 10, 1, 1e-6, anonymous_bytes},
    {"window_bytes", "windows MB", 10, 1, 1e-6, window_bytes},
    {"index_bytes", NULL, 0, 0, 1.0, index_bytes},
    {NULL, NULL, 0, 0, 0.0, NULL},
};

const struct kv_column *kv_columns(enum kv_action action)
{
    switch (action) {
    case KV_MIXED:
        return mixed_columns;
    case KV_OPEN:
        return open_columns;
    case KV_MEMORY:
        return memory_columns;
    case KV_PUT:
        return puts_columns;
    case KV_FILL:
    case KV_GET:
    case KV_SCAN:
    default:
        return reads_columns;
    }
}
