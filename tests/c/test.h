// test.h: what every C test includes. TEST(name) is a sentence of behaviour.
// SPDX-License-Identifier: MIT
#ifndef CTZ_TEST_H
#define CTZ_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define TEST(name) static void name(void **state __attribute__((unused)))

#endif
