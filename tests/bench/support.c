/* The child writes into an unlinked file, so that a pipe that fills up cannot stop it. */
#include "support.h"

#include "bench/bench.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 32

static int run_words(const char *path, char **words, int count, char *output, size_t capacity)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(fileno(file), STDOUT_FILENO);
        if (path != NULL) {
            (void)execv(path, words);
            _exit(127);
        }
        int code = bench_main(count, words);
        (void)fflush(NULL);
        _exit(code);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    rewind(file);
    size_t size = fread(output, 1, capacity - 1, file);
    output[size] = '\0';
    (void)fclose(file);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int collect_words(char **words, const char *first, va_list arguments)
{
    static char storage[WORDS_MAX][256];
    int count = 0;
    for (const char *word = first; word != NULL; word = va_arg(arguments, const char *)) {
        assert_true(count < WORDS_MAX - 1);
        (void)snprintf(storage[count], sizeof storage[count], "%s", word);
        words[count] = storage[count];
        count++;
    }
    words[count] = NULL;
    return count;
}

int run_bench(char *output, size_t capacity, ...)
{
    char *words[WORDS_MAX];
    va_list arguments;
    va_start(arguments, capacity);
    int count = collect_words(words, "bench", arguments);
    va_end(arguments);
    return run_words(NULL, words, count, output, capacity);
}

int run_program(const char *path, char *output, size_t capacity, ...)
{
    char *words[WORDS_MAX];
    va_list arguments;
    va_start(arguments, capacity);
    int count = collect_words(words, path, arguments);
    va_end(arguments);
    return run_words(path, words, count, output, capacity);
}

json_t *parse_line(const char *output)
{
    const char *newline = strchr(output, '\n');
    assert_non_null(newline);
    assert_string_equal(newline, "\n");
    json_error_t error;
    json_t *object = json_loads(output, 0, &error);
    if (object == NULL) {
        fail_msg("%s in: %s", error.text, output);
    }
    assert_true(json_is_object(object));
    return object;
}

double number_of(const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);
    if (!json_is_number(value)) {
        fail_msg("no number '%s'", member);
    }
    return json_number_value(value);
}

const char *text_of(const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);
    if (!json_is_string(value)) {
        fail_msg("no text '%s'", member);
    }
    return json_string_value(value);
}

void expect_nothing_left(void)
{
    DIR *folder = opendir(WORK_DIRECTORY);
    assert_non_null(folder);
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.') {
            fail_msg("'%s' is left behind", entry->d_name);
        }
    }
    (void)closedir(folder);
}
