/*
 * weir put: stores a value under a key and prints the LSN, which is the key's new version.
 *
 * 1. The value is an argument, or all of a file.
 * 2. The log and the table are made when they are not there; the record is appended.
 * 3. {"lsn":N} is printed once it is durable.
 *
 * Failures: a condition that does not hold is exit 1, and nothing is appended. A key without bytes
 * and a value that cannot be read are found before the log is touched.
 */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/errors.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VALUE_BYTES_MAX ((size_t)1 << 30) /* no record is longer: WEIR_SEGMENT_BYTES_MAX */
#define VALUE_BYTES_FIRST ((size_t)1 << 20)

struct put_options {
    struct cli_common common;
    const char *table;
    const char *value_file;
    struct cli_number if_lsn;
    bool if_absent;
    int durability;
};

static const struct cli_option put_options[] = {
    ENGINE_TABLE_OPTION(struct put_options),
    {"value-file", CLI_TEXT, 0, "FILE|-", "the value is what FILE, or standard input, holds",
     offsetof(struct put_options, value_file)},
    {"if-lsn", CLI_NUMBER, 0, "N", "only while the key's version is N (0: it is absent)",
     offsetof(struct put_options, if_lsn)},
    {"if-absent", CLI_FLAG, 0, NULL, "only when the key is not there",
     offsetof(struct put_options, if_absent)},
    {"durability", CLI_CHOICE, 0, ENGINE_DURABILITIES,
     "how it is flushed (each); the LSN is durable before it is printed",
     offsetof(struct put_options, durability)},
    {0},
};

struct file_value {
    char *data;
    size_t size, capacity;
};

/* Twice the room. Returns 0, -ENOMEM or -EFBIG. */
static int grow(struct file_value *value)
{
    size_t capacity = value->capacity == 0 ? VALUE_BYTES_FIRST : value->capacity * 2;
    if (capacity > 2 * VALUE_BYTES_MAX) {
        return WEIR_E_TOO_BIG;
    }
    char *data = base_pages_alloc(capacity, 0);
    if (data == NULL) {
        return -ENOMEM;
    }
    if (value->size > 0) {
        memcpy(data, value->data, value->size);
    }
    base_pages_free(value->data, value->capacity);
    value->data = data;
    value->capacity = capacity;
    return 0;
}

static int read_all(int fd, struct file_value *value)
{
    for (;;) {
        int rc = value->size == value->capacity ? grow(value) : 0;
        if (rc < 0) {
            return rc;
        }
        ssize_t count = read(fd, value->data + value->size, value->capacity - value->size);
        if (count == 0) {
            return 0;
        }
        if (count < 0 && errno != EINTR) {
            return -errno;
        }
        value->size += count > 0 ? (size_t)count : 0;
    }
}

/* Returns -1 to go on, else the exit code. */
static int read_value(struct cli *cli, const char *path, struct file_value *value)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 ? -errno : read_all(fd, value);
    if (fd >= 0 && !standard) {
        close(fd);
    }
    if (rc < 0) {
        return cli_fail_open(cli, rc, NULL, "cannot read the value from %s",
                             standard ? "standard input" : path);
    }
    return -1;
}

static int put(struct cli *cli, const struct put_options *options, struct weir_write *write)
{
    struct engine engine;
    write->conditional = options->if_absent || options->if_lsn.given;
    write->expected = options->if_lsn.value;
    int exit_code = engine_check_table(cli, options->table);
    if (exit_code >= 0) {
        return exit_code;
    }
    /* A version is one of a log that is there: such a condition makes none either. */
    bool makes = !write->conditional || write->expected == WEIR_LSN_NONE;
    exit_code = engine_open(&engine, cli, &options->common, makes ? WEIR_LOG_CREATE : 0, NULL);
    if (exit_code < 0) {
        /* A key with a version has a table: a condition that cannot hold makes none. */
        exit_code = engine_find_table(&engine, options->table, write->expected == WEIR_LSN_NONE);
    }
    if (exit_code < 0) {
        write->table = engine.table;
        exit_code = engine_write(&engine, write, (enum weir_durability)(options->durability + 1));
    }
    return engine_close(&engine, exit_code);
}

static int run(struct cli *cli, const void *opaque)
{
    const struct put_options *options = opaque;
    struct weir_write write = {.kind = WEIR_PUT};
    struct file_value value = {0};
    if ((cli->argument_count == 3) == (options->value_file != NULL)) {
        return cli_usage_error(cli, "give a VALUE or --value-file, one of the two");
    }
    if (options->if_absent && options->if_lsn.given) {
        return cli_usage_error(cli, "--if-absent and --if-lsn exclude each other");
    }
    int exit_code = engine_key(cli, cli->argument[1], &write.key);
    if (exit_code < 0 && options->value_file != NULL) {
        exit_code = read_value(cli, options->value_file, &value);
        write.value = (struct weir_bytes){value.data, value.size};
    } else if (exit_code < 0) {
        write.value = engine_text(cli->argument[2]);
    }
    if (exit_code < 0) {
        exit_code = put(cli, options, &write);
    }
    base_pages_free(value.data, value.capacity);
    return exit_code;
}

const struct cli_command put_command = {
    .name = "put",
    .arguments = "LOG KEY VALUE [OPTION...]",
    .summary = "Stores a value under a key and prints {\"lsn\":N} once it is durable",
    .details = "LOG and the table are made when they are not there. N is the key's version: what\n"
               "--if-lsn takes. Exit 1 when the condition does not hold; nothing is stored then.\n"
               "An empty VALUE is a value. A KEY that begins with '-' stands behind --.",
    .arguments_min = 2,
    .arguments_max = 3,
    .options_size = sizeof(struct put_options),
    .options = {put_options, cli_create_options, cli_output_options},
    .run = run,
};
