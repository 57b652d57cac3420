/* criterion.h - in place of Criterion's, whose processes ThreadSanitizer cannot follow: the tests of one file in one process, one after another. A
 * failure is said by its place and its condition; messages are left out. */
#ifndef TLUA_PLAIN_CRITERION_H
#define TLUA_PLAIN_CRITERION_H

#include <stdio.h>
#include <stdlib.h>

typedef struct plain_test { const char *name; void (*run)(void); } plain_test;
static plain_test plain_tests[64];
static int plain_count, plain_failures;

static void plain_check(int good, int ends, const char *file, int line, const char *what)
{
    if (good) return;
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    plain_failures++;
    if (ends) exit(1);
}

#define Test(suite, name, ...)                                                                                   \
    static void suite##_##name(void);                                                                            \
    __attribute__((constructor)) static void suite##_##name##_joins(void)                                        \
    {                                                                                                            \
        plain_tests[plain_count++] = (plain_test){#suite "/" #name, suite##_##name};                             \
    }                                                                                                            \
    static void suite##_##name(void)

#define plain_expect(ends, good, what) plain_check((good) ? 1 : 0, ends, __FILE__, __LINE__, what)
#define cr_assert(good, ...) plain_expect(1, good, #good)
#define cr_expect(good, ...) plain_expect(0, good, #good)
#define cr_assert_null(a, ...) plain_expect(1, !(a), #a " is there")
#define cr_assert_eq(a, b, ...) plain_expect(1, (a) == (b), #a " is not " #b)
#define cr_expect_eq(a, b, ...) plain_expect(0, (a) == (b), #a " is not " #b)
#define cr_assert_neq(a, b, ...) plain_expect(1, (a) != (b), #a " is " #b)
#define cr_expect_neq(a, b, ...) plain_expect(0, (a) != (b), #a " is " #b)

int main(void)
{
    for (int i = 0; i < plain_count; i++) {
        fprintf(stderr, "%s\n", plain_tests[i].name);
        plain_tests[i].run();
    }
    fprintf(stderr, "%d tests, %d failures\n", plain_count, plain_failures);
    return plain_failures != 0;
}

#endif
