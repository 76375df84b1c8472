/*
 * A scene of its own for each test of a file: scene_test(name) among its cases.
 */
#ifndef TESTS_DERIVED_SCENE_TEST_H
#define TESTS_DERIVED_SCENE_TEST_H

#include "tests/derived/scene.h"

static struct scene scene;

static int begin(void **state)
{
    (void)state;
    scene_open(&scene);
    return 0;
}

static int end(void **state)
{
    (void)state;
    scene_close(&scene);
    return 0;
}

#define scene_test(name) cmocka_unit_test_setup_teardown(name, begin, end)

#endif
