/* go_on.h - stands before a test that is to be walked through on a card of paper (fake_gpu.c), where every value is wrong: what is
 * asserted is still evaluated, but nothing is judged, so that all that a test launches is launched. */
#include <criterion/criterion.h>

#define GO_ON(...) ((void)(0, __VA_ARGS__))
#undef cr_assert
#undef cr_assert_eq
#undef cr_assert_fail
#undef cr_assert_float_eq
#undef cr_assert_gt
#undef cr_assert_lt
#undef cr_assert_not_null
#undef cr_assert_null
#undef cr_assert_str_eq
#undef cr_assert_str_neq
#undef cr_expect
#undef cr_expect_eq
#undef cr_expect_float_eq
#undef cr_expect_geq
#undef cr_expect_leq
#undef cr_expect_lt
#undef cr_expect_neq
#undef cr_expect_not_null
#undef cr_expect_null
#undef cr_expect_str_eq
#define cr_assert GO_ON
#define cr_assert_eq GO_ON
#define cr_assert_fail GO_ON
#define cr_assert_float_eq GO_ON
#define cr_assert_gt GO_ON
#define cr_assert_lt GO_ON
#define cr_assert_not_null GO_ON
#define cr_assert_null GO_ON
#define cr_assert_str_eq GO_ON
#define cr_assert_str_neq GO_ON
#define cr_expect GO_ON
#define cr_expect_eq GO_ON
#define cr_expect_float_eq GO_ON
#define cr_expect_geq GO_ON
#define cr_expect_leq GO_ON
#define cr_expect_lt GO_ON
#define cr_expect_neq GO_ON
#define cr_expect_not_null GO_ON
#define cr_expect_null GO_ON
#define cr_expect_str_eq GO_ON
