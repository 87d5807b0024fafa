/* Exact sums against correctly rounded fractions, computed elsewhere with rational numbers. */
#include "common/exact.h"
#include "common/prng.h"
#include "common/value.h"
#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>

/* Five numbers, their sum and their mean, each rounded once. */
static const struct {
    double numbers[5];
    double sum;
    double mean;
} cases[] = {
    { { -0x0.000000000001fp-1022, 0x0.0p+0, 0x0.0000000000021p-1022, -0x0.000000000002cp-1022,
        -0x0.0000000000029p-1022 },
      -0x0.0000000000053p-1022,
      -0x0.0000000000011p-1022 },
    { { -0x1.9f9c5fd1311b2p-838, 0x1.a3897640f3a76p-196, -0x1.d99abcf4ffae6p+701,
        -0x1.4f2ab7dc3be90p-92, -0x1.a31c20b97748ap+663 },
      -0x1.d99abcf5063adp+701,
      -0x1.7ae230c404fbep+699 },
    { { 0x1.4eb252c860c96p-46, 0x1.ca30411c93182p+19, 0x1.04fbb5953f48cp-55, 0x1.3bd04d2bcc158p-13,
        -0x1.cd3875830a12ap-33 },
      0x1.ca30411dcee85p+19,
      0x1.6e8d00e4a586ap+17 },
    { { 0x1.d032e76f125b0p-47, -0x1.aee15394b34dcp-44, 0x1.4d4c7c789e870p+9, -0x1.883aae7092facp+42,
        0x1.74bdd42e44158p-49 },
      -0x1.883aae6fec548p+42,
      -0x1.39c88b8cbd106p+40 },
    { { 0x1.23a737471faa8p-308, -0x1.05546fe70eca4p-819, 0x1.07a70c1e840b0p-234,
        -0x1.d5f5947453b00p+669, 0x1.1be1dc2835f96p+832 },
      0x1.1be1dc2835f96p+832,
      0x1.c6362d0d2328ap+829 },
    { { 0x1.b19a9e3a01f20p+406, -0x1.9a13c2c0671dcp-340, 0x1.978a64c7a2ea0p-77,
        -0x1.ac2e33367948cp+154, 0x1.9cd1cbf5ff900p+327 },
      0x1.b19a9e3a01f20p+406,
      0x1.5ae2182e67f4dp+404 },
    { { -0x0.3464cf5b24db0p-1022, 0x0.6f92f3fd765e8p-1022, -0x1.b50ad4f0e3388p-1022,
        0x0.0c381eb5850c6p-1022, -0x1.57142c9f1601ap-1022 },
      -0x1.625c5f1c11552p-1021,
      -0x0.8dbe8c71a0887p-1022 },
    { { -0x0.000000000001fp-1022, 0x0.000000000000cp-1022, 0x0.0000000000003p-1022,
        -0x0.000000000002dp-1022, 0x0.0000000000023p-1022 },
      -0x0.000000000001ap-1022,
      -0x0.0000000000005p-1022 },
    { { 0x1.0eebaa476f06ap+12, 0x1.28084d700fa82p+43, -0x1.7d71f1a8edbdcp+26, -0x1.32d5ac67d7604p+1,
        0x1.4740319802398p-5 },
      0x1.28078eb9345f9p+43,
      0x1.d9a5b12853cc2p+40 },
    { { 0x1.5c20838bfaf40p-27, -0x1.a85f726c75360p+20, -0x1.bd70a5783bfc0p+32,
        0x1.9ca7d94f426dcp+20, 0x1.3f448bfc77120p+24 },
      -0x1.bc321c65d1582p+32,
      -0x1.635b49eb0de01p+30 },
    { { 0x1.0000000000000p-265, 0x1.0000000000000p-318, -0x1.0000000000000p-378,
        0x1.0000000000000p-317, 0x0.0p+0 },
      0x1.0000000000001p-265,
      0x1.999999999999cp-268 },
    { { -0x0.9caaa77d1ca88p-1022, 0x1.c33960bb18d4cp-1022, -0x0.9401376a7d642p-1022,
        0x0.7194e48efcfeap-1022, -0x0.067557f8742e8p-1022 },
      0x0.fdad0e6a07984p-1022,
      0x0.32bc361534b81p-1022 },
    { { 0x1.12abab24ca91cp+915, 0x1.e82b0f3f63af8p+948, -0x1.12abab24ca91cp+915,
        -0x1.e82b0f3f63af8p+948, -0x1.beab862a97108p-57 },
      -0x1.beab862a97108p-57,
      -0x1.655604eedf406p-59 },
    { { -0x1.55a413c681070p-10, 0x1.9503011c81dc0p+49, -0x1.73c9a21721d6ap-6, 0x1.74b858466d982p-26,
        0x1.a6b3516a50df4p-17 },
      0x1.9503011c81dc0p+49,
      0x1.4402674a017cdp+47 },
    { { 0x1.8969d830b24cep-1022, 0x1.d4b77d1d8943ep-1022, -0x1.6574fd7560c20p-1022,
        -0x1.4b8d946ca2414p-1022, -0x1.1279e62bb5b9cp-1022 },
      -0x0.655b22bf7d2c4p-1022,
      -0x0.14456d597f6f4p-1022 },
    { { -0x1.f3a5bdc1ecbdep+1005, 0x1.6d0cc45d5c0b8p+930, 0x1.f3a5bdc1ecbdep+1005,
        -0x1.6d0cc45d5c0b8p+930, -0x1.be9b1afef3b8cp-774 },
      -0x1.be9b1afef3b8cp-774,
      -0x1.6548e2658fc70p-776 },
    { { 0x1.0000000000000p+247, 0x1.0000000000000p+194, 0x1.0000000000000p+134,
        0x1.0000000000000p+195, 0x0.0p+0 },
      0x1.0000000000002p+247,
      0x1.999999999999cp+244 },
    { { 0x1.862189dbf4a88p+963, 0x1.cd0781cf0d476p+982, -0x1.862189dbf4a88p+963,
        -0x1.cd0781cf0d476p+982, 0x1.68db96bd62888p-962 },
      0x1.68db96bd62888p-962,
      0x1.20afabcab53a0p-964 },
    { { 0x1.0000000000000p+936, 0x1.0000000000000p+883, -0x1.0000000000000p+823,
        0x1.0000000000000p+884, 0x0.0p+0 },
      0x1.0000000000001p+936,
      0x1.999999999999cp+933 },
    { { 0x1.0000000000000p-30, 0x1.0000000000000p-83, 0x1.0000000000000p-143, 0x0.0p+0, 0x0.0p+0 },
      0x1.0000000000001p-30,
      0x1.999999999999ap-33 },
    { { 0x1.0000000000000p+452, 0x1.0000000000000p+399, 0x1.0000000000000p+339, 0x0.0p+0,
        0x0.0p+0 },
      0x1.0000000000001p+452,
      0x1.999999999999ap+449 },
    { { -0x1.bb093a01f6698p+925, -0x1.e6627b59cd320p+910, 0x1.bb093a01f6698p+925,
        0x1.e6627b59cd320p+910, -0x1.4791f36636bd0p-965 },
      -0x1.4791f36636bd0p-965,
      -0x1.060e5c51c5640p-967 },
    { { -0x1.ffc2d8b773a28p-42, 0x1.2bfaf467e6460p-18, 0x1.d1de2a0d0e738p-54, 0x1.7f50fc9a9e318p+17,
        -0x1.faf6ebb3f1310p+18 },
      -0x1.3b4e6d668f589p+18,
      -0x1.f87d7bd74bc0ep+15 },
    { { -0x0.0000000000006p-1022, 0x0.000000000001bp-1022, -0x0.0000000000004p-1022,
        0x0.000000000000ap-1022, -0x0.0000000000023p-1022 },
      -0x0.0000000000008p-1022,
      -0x0.0000000000002p-1022 },
    { { 0x1.654fb8be79038p-2, -0x1.4134e4211b4c0p-26, -0x1.a80dd9ed8d8eep-48, 0x1.ff550a57b6fb4p+32,
        -0x1.e1c7238579088p+44 },
      -0x1.e1a72e34d3878p+44,
      -0x1.81528b5d76060p+42 },
    { { -0x1.5aafd63de8c02p-1022, -0x1.e8599865bb83ep-1022, 0x1.cdcf2979dbd28p-1022,
        0x0.1cef81ae4de78p-1022, -0x1.69e10627abddap-1022 },
      -0x1.6115e4d19333dp-1021,
      -0x0.8d3bf520a147fp-1022 },
    { { 0x1.a815d5037620cp+145, 0x1.e9fc3ad24b1b4p-703, 0x1.91cf9ed86f40cp-7,
        0x1.2d6a02ef004c0p-395, -0x1.2788c43a62470p-164 },
      0x1.a815d5037620cp+145,
      0x1.5344aa692b4d6p+143 },
    { { 0x1.5484931dc0900p+981, -0x1.5cd8995d12248p-163, 0x1.cfc8659f7e668p-278,
        0x1.396caa1ea4414p+566, 0x1.eb428bcda6c6cp-148 },
      0x1.5484931dc0900p+981,
      0x1.106a0f4b00733p+979 },
    { { 0x1.20fe2bf1379a0p+940, 0x1.d9189f076b3e0p+901, -0x1.20fe2bf1379a0p+940,
        -0x1.d9189f076b3e0p+901, 0x1.2913ae23c3fc8p-104 },
      0x1.2913ae23c3fc8p-104,
      0x1.db52b03939940p-107 },
    { { -0x0.000000000001ap-1022, 0x0.0000000000026p-1022, 0x0.000000000001bp-1022,
        -0x0.0000000000006p-1022, 0x0.0000000000007p-1022 },
      0x0.0000000000028p-1022,
      0x0.0000000000008p-1022 },
    { { 0x1.f3c03facbd0f6p-1022, 0x1.d1ebaf7cbce82p-1022, -0x0.8a9ce3f5b0ed4p-1022,
        -0x1.1e3f1ff2ec83cp-1022, -0x1.17b5ba43d46b6p-1022 },
      0x1.051a30fd081b2p-1022,
      0x0.343870329b38ap-1022 },
    { { -0x1.4c504acbae300p+959, 0x1.fc2d0bf8728e0p+1012, 0x1.4c504acbae300p+959,
        -0x1.fc2d0bf8728e0p+1012, 0x0.000000000001cp-1022 },
      0x0.000000000001cp-1022,
      0x0.0000000000006p-1022 },
    { { 0x1.0000000000000p+490, 0x1.0000000000000p+437, 0x1.0000000000000p+377, 0x0.0p+0,
        0x0.0p+0 },
      0x1.0000000000001p+490,
      0x1.999999999999ap+487 },
    { { -0x1.8537fb8b8c6c4p-1022, -0x0.7223af9bdd7fep-1022, 0x0.d8919de0049a4p-1022,
        -0x1.33e59d42cfd2cp-1022, 0x1.8e58e696d9ccap-1022 },
      -0x0.c456c3f35b580p-1022,
      -0x0.27448d971244dp-1022 },
    { { 0x1.0000000000000p+769, 0x1.0000000000000p+716, -0x1.0000000000000p+656,
        0x1.0000000000000p+717, 0x0.0p+0 },
      0x1.0000000000001p+769,
      0x1.999999999999cp+766 },
    { { 0x1.340b17f91bf22p+31, -0x1.aaa54112dc9f8p-12, 0x1.f262e7f26149cp-52, 0x1.cc633e28aaca4p-41,
        0x1.f8f2721042cb0p-58 },
      0x1.340b17f91bbcdp+31,
      0x1.ecde8cc1c5faep+28 },
};

START_TEST(sums_and_means_are_rounded_once)
{
    for (size_t i = 0; i < TRI_COUNT_OF(cases); i++) {
        struct tri_exact exact;

        tri_exact_init(&exact);
        for (int at = 0; at < 5; at++)
            tri_exact_add(&exact, cases[i].numbers[at]);
        ck_assert_msg(tri_exact_sum(&exact) == cases[i].sum, "sum %zu: %a", i,
                      tri_exact_sum(&exact));
        ck_assert_msg(tri_exact_mean(&exact, 5) == cases[i].mean, "mean %zu: %a", i,
                      tri_exact_mean(&exact, 5));
    }
}
END_TEST

START_TEST(any_grouping_gives_the_same_bytes)
{
    struct tri_prng prng;
    struct tri_exact whole;
    struct tri_exact parts[4];
    struct tri_exact total;
    struct tri_buffer a;
    struct tri_buffer b;

    tri_prng_init(&prng, (uint64_t)_i);
    tri_buffer_init(&a);
    tri_buffer_init(&b);
    tri_exact_init(&whole);
    tri_exact_init(&total);
    for (int i = 0; i < 4; i++)
        tri_exact_init(&parts[i]);
    for (int i = 0; i < 1000; i++) {
        uint64_t bits = tri_prng_next(&prng);
        double number;

        memcpy(&number, &bits, sizeof(number));
        if (!isfinite(number))
            continue;
        tri_exact_add(&whole, number);
        tri_exact_add(&parts[tri_prng_below(&prng, 4)], number);
    }
    for (int i = 4; i-- > 0;)
        tri_exact_merge(&total, &parts[i]);
    tri_exact_encode(&whole, &a);
    tri_exact_encode(&total, &b);
    ck_assert(a.size == b.size && memcmp(a.data, b.data, a.size) == 0);
    tri_buffer_deinit(&a);
    tri_buffer_deinit(&b);
}
END_TEST

START_TEST(an_encoded_sum_reads_back)
{
    static const double numbers[] = { 0.0, 1.0, -1.0, 5e-324, -1.7e308, 1e300 };

    for (size_t i = 0; i < TRI_COUNT_OF(numbers); i++) {
        struct tri_exact exact;
        struct tri_exact back;
        struct tri_buffer out;
        struct tri_value values[TRI_EXACT_VALUES];
        size_t at = 0;

        tri_exact_init(&exact);
        tri_exact_add(&exact, numbers[i]);
        tri_exact_add(&exact, numbers[i]);
        tri_buffer_init(&out);
        tri_exact_encode(&exact, &out);
        for (size_t v = 0; v < TRI_EXACT_VALUES; v++) {
            size_t size;

            ck_assert_int_eq(tri_value_unpack((struct tri_bytes){ out.data + at, out.size - at },
                                              &values[v], &size, NULL),
                             TRI_OK);
            at += size;
        }
        ck_assert_uint_eq(at, out.size);
        ck_assert_int_eq(tri_exact_decode(&back, values, NULL), TRI_OK);
        ck_assert(tri_exact_sum(&back) == tri_exact_sum(&exact));
        ck_assert(tri_exact_mean(&back, 2) == numbers[i]);
        tri_buffer_deinit(&out);
    }
}
END_TEST

START_TEST(integers_of_128_bits_add_exactly)
{
    struct tri_exact exact;

    tri_exact_init(&exact);
    tri_exact_add_int(&exact, ((__int128)1 << 100) + 1);
    tri_exact_add_int(&exact, -((__int128)1 << 100));
    ck_assert(tri_exact_sum(&exact) == 1.0);
    tri_exact_add_int(&exact, (__int128)((unsigned __int128)1 << 127));
    ck_assert(tri_exact_sum(&exact) == -0x1p127);
}
END_TEST

START_TEST(nan_and_infinities_follow_the_stated_rule)
{
    struct tri_exact exact;

    tri_exact_init(&exact);
    tri_exact_add(&exact, 1.0);
    tri_exact_add(&exact, -INFINITY);
    ck_assert(tri_exact_sum(&exact) == -INFINITY);
    tri_exact_add(&exact, INFINITY);
    ck_assert(isnan(tri_exact_sum(&exact)) && isnan(tri_exact_mean(&exact, 3)));
    tri_exact_init(&exact);
    tri_exact_add(&exact, -0.0);
    ck_assert(tri_exact_sum(&exact) == 0.0 && !signbit(tri_exact_sum(&exact)));
    tri_exact_add(&exact, 1.7e308);
    tri_exact_add(&exact, 1.7e308);
    ck_assert(isinf(tri_exact_sum(&exact)) && !tri_exact_is_special(&exact));
    ck_assert(tri_exact_mean(&exact, 2) == 1.7e308);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("exact");

    tcase_add_test(tcase, sums_and_means_are_rounded_once);
    tcase_add_loop_test(tcase, any_grouping_gives_the_same_bytes, 0, 5);
    tcase_add_test(tcase, an_encoded_sum_reads_back);
    tcase_add_test(tcase, integers_of_128_bits_add_exactly);
    tcase_add_test(tcase, nan_and_infinities_follow_the_stated_rule);
    return unit_run("exact", tcase);
}
