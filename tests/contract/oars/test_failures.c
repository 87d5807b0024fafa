#include "fake_session.h"
#include "oars_cases.h"

START_TEST(a_failed_task_says_why_and_keeps_its_value)
{
    struct fake fake;
    struct tri_value value;

    fake_open(&fake, &(struct fake_options){ .handler = "fail.odd", .width = 3 }, 100);
    fake_lease(&fake, 0, 100);
    fake_finish(&fake);
    fake_expect_ended(&fake, 17, TRI_OUTCOME_FAILED, "17 is odd");
    ck_assert_int_eq(
        tri_value_unpack_whole(tri_buffer_bytes(&fake.accounts[17].value), &value, NULL), TRI_OK);
    ck_assert_int_eq(value.integer, -17);
    for (uint64_t i = 0; i < 100; i += 2)
        ck_assert_int_eq(fake_integer(&fake, i), -(int64_t)i);
    fake_close(&fake);
}
END_TEST

START_TEST(an_argument_of_the_wrong_type_fails_its_task_by_name)
{
    struct tri_value values[] = { tri_value_int(3), tri_value_string("3", 1), tri_value_nil() };
    struct fake fake;

    fake_open(&fake,
              &(struct fake_options){ .handler = "square", .width = 2, .source = TRI_SOURCE_ITEMS },
              3);
    fake_lease_items(&fake, 0, values, 3, 0);
    fake_finish(&fake);
    ck_assert_int_eq(fake_integer(&fake, 0), 9);
    fake_expect_ended(&fake, 1, TRI_OUTCOME_FAILED,
                      "argument is a string, square wants an integer");
    fake_expect_ended(&fake, 2, TRI_OUTCOME_FAILED, "argument is nil, square wants an integer");
    fake_close(&fake);
}
END_TEST

START_TEST(an_integer_serves_as_a_number)
{
    struct fake fake;
    struct tri_value value;

    fake_open(&fake, &(struct fake_options){ .handler = "half", .width = 2, .first = 3 }, 1);
    fake_lease(&fake, 0, 1);
    fake_finish(&fake);
    value = fake_value(&fake, 0);
    ck_assert_int_eq(value.type, TRI_FLOAT);
    ck_assert_double_eq(value.number, 1.5);
    fake_close(&fake);
}
END_TEST

START_TEST(a_value_over_the_cap_is_too_large)
{
    struct fake fake;

    fake_open(&fake,
              &(struct fake_options){
                  .handler = "large", .width = 2, .first = 100, .output_bytes_max = 100 },
              2);
    fake_lease(&fake, 0, 2);
    fake_finish(&fake);
    ck_assert_uint_eq(fake_value(&fake, 0).bytes.size, 100);
    fake_expect_ended(&fake, 1, TRI_OUTCOME_TOO_LARGE,
                      "a value of 101 bytes is over the cap of 100");
    fake_close(&fake);
}
END_TEST

START_TEST(a_value_over_the_cap_is_cut_when_asked_for)
{
    struct fake fake;

    fake_open(&fake,
              &(struct fake_options){ .handler = "large",
                                      .width = 2,
                                      .first = 1000000,
                                      .output_bytes_max = 100,
                                      .flags = TRI_SPEC_TRUNCATE },
              1);
    fake_lease(&fake, 0, 1);
    fake_finish(&fake);
    ck_assert_uint_eq(fake_value(&fake, 0).bytes.size, 100);
    fake_close(&fake);
}
END_TEST

START_TEST(an_unknown_handler_is_refused_and_its_leases_given_back)
{
    struct fake fake;

    fake_open(&fake, &(struct fake_options){ .handler = "nonesuch", .width = 2 }, 10);
    fake_lease(&fake, 0, 10);
    fake_finish(&fake);
    ck_assert(fake.wants_replacing);
    ck_assert_uint_eq(fake.refusal, TRI_UNSUPPORTED);
    ck_assert_str_eq(fake.reason, "no handler named nonesuch here");
    ck_assert_int_eq(fake.accounts[9].fate, FATE_RELEASED);
    fake_close(&fake);
}
END_TEST

TCase *failures_case(void)
{
    TCase *tcase = tcase_create("failures");

    tcase_add_test(tcase, a_failed_task_says_why_and_keeps_its_value);
    tcase_add_test(tcase, an_argument_of_the_wrong_type_fails_its_task_by_name);
    tcase_add_test(tcase, an_integer_serves_as_a_number);
    tcase_add_test(tcase, a_value_over_the_cap_is_too_large);
    tcase_add_test(tcase, a_value_over_the_cap_is_cut_when_asked_for);
    tcase_add_test(tcase, an_unknown_handler_is_refused_and_its_leases_given_back);
    return tcase;
}
