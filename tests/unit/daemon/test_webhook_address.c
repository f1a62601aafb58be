#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "daemon/webhook_address.h"

static const struct webhook_ranges none = {.n = 0};

static const char *refusal_in(const char *text, const struct webhook_ranges *listed) {
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
        return webhook_address_refusal((const struct sockaddr *)&four, listed);
    assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
    return webhook_address_refusal((const struct sockaddr *)&six, listed);
}

static void test_public_addresses_may(void **state) {
    static const char *const addresses[] = {"1.1.1.1",         "8.8.8.8",
                                            "9.255.255.255",   "11.0.0.0",
                                            "100.63.255.255",  "100.128.0.0",
                                            "126.255.255.255", "128.0.0.1",
                                            "169.253.255.255", "169.255.0.0",
                                            "172.15.255.255",  "172.32.0.0",
                                            "192.0.1.0",       "192.167.255.255",
                                            "192.169.0.0",     "198.17.255.255",
                                            "198.20.0.0",      "223.255.255.255",
                                            "2606:4700::1111", "2a00:1450:4001:81b::200e",
                                            "::ffff:8.8.8.8",  "64:ff9b::808:808",
                                            "2001:200::1",     "2003::1",
                                            "3ffe:ffff::1",    NULL};
    for (int i = 0; addresses[i] != NULL; i++)
        if (refusal_in(addresses[i], &none) != NULL)
            fail_msg("%s: %s", addresses[i], refusal_in(addresses[i], &none));
}

static void test_special_addresses_may_not(void **state) {
    static const char *const rows[][2] = {{"0.0.0.0", "this network"},
                                          {"0.1.2.3", "this network"},
                                          {"10.0.0.1", "private"},
                                          {"10.255.255.255", "private"},
                                          {"100.64.0.1", "carrier"},
                                          {"100.127.255.255", "carrier"},
                                          {"127.0.0.1", "loopback"},
                                          {"127.255.255.254", "loopback"},
                                          {"169.254.169.254", "link-local"},
                                          {"172.16.0.1", "private"},
                                          {"172.31.255.255", "private"},
                                          {"192.0.0.8", "protocols"},
                                          {"192.0.2.1", "documentation"},
                                          {"192.88.99.1", "6to4"},
                                          {"192.168.0.1", "private"},
                                          {"198.18.0.1", "benchmarks"},
                                          {"198.19.255.255", "benchmarks"},
                                          {"198.51.100.7", "documentation"},
                                          {"203.0.113.7", "documentation"},
                                          {"224.0.0.1", "multicast"},
                                          {"239.255.255.255", "multicast"},
                                          {"240.0.0.1", "reserved"},
                                          {"255.255.255.255", "broadcast"},
                                          {"::", "unspecified"},
                                          {"::1", "loopback"},
                                          {"::2", "not public"},
                                          {"::127.0.0.1", "not public"},
                                          {"::ffff:0:127.0.0.1", "not public"},
                                          {"::ffff:127.0.0.1", "loopback"},
                                          {"::ffff:10.1.2.3", "private"},
                                          {"::ffff:169.254.169.254", "link-local"},
                                          {"64:ff9b::7f00:1", "loopback"},
                                          {"64:ff9b::a00:1", "private"},
                                          {"64:ff9b:1::1", "not public"},
                                          {"100::1", "not public"},
                                          {"fc00::1", "private"},
                                          {"fdff::1", "private"},
                                          {"fe80::1", "link-local"},
                                          {"febf::1", "link-local"},
                                          {"fec0::1", "site-local"},
                                          {"ff02::1", "multicast"},
                                          {"2001::1", "protocols"},
                                          {"2001:1ff::1", "protocols"},
                                          {"2001:db8::1", "documentation"},
                                          {"2002:7f00:1::1", "6to4"},
                                          {"3fff::1", "documentation"},
                                          {"4000::1", "not public"},
                                          {NULL, NULL}};
    for (int i = 0; rows[i][0] != NULL; i++) {
        const char *what = refusal_in(rows[i][0], &none);
        if (what == NULL || strstr(what, rows[i][1]) == NULL)
            fail_msg("%s: %s", rows[i][0], what == NULL ? "allowed" : what);
    }
    struct sockaddr other = {.sa_family = AF_UNIX};
    assert_non_null(webhook_address_refusal(&other, &none));
}

static void test_what_is_listed_may(void **state) {
    struct webhook_ranges listed;
    struct err err = {0};
    assert_int_equal(webhook_ranges_parse("10.1.0.0/16,::1,192.168.7.9,fd00:1::/32", &err, &listed),
                     0);
    assert_int_equal(listed.n, 4);
    assert_null(refusal_in("10.1.255.255", &listed));
    assert_non_null(refusal_in("10.2.0.0", &listed));
    assert_non_null(refusal_in("10.0.255.255", &listed));
    assert_null(refusal_in("::ffff:10.1.2.3", &listed));
    assert_null(refusal_in("64:ff9b::a01:203", &listed));
    assert_null(refusal_in("::1", &listed));
    assert_non_null(refusal_in("127.0.0.1", &listed));
    assert_null(refusal_in("192.168.7.9", &listed));
    assert_non_null(refusal_in("192.168.7.8", &listed));
    assert_null(refusal_in("fd00:1:2::3", &listed));
    assert_non_null(refusal_in("fd00:2::3", &listed));
    assert_int_equal(webhook_ranges_parse("0.0.0.0/0", &err, &listed), 0);
    assert_null(refusal_in("127.0.0.1", &listed));
    assert_non_null(refusal_in("::1", &listed));
}

static void test_ranges_that_make_no_sense(void **state) {
    static const char *const texts[] = {
        "10.0.0.0/33", "10.0.0.0/",   "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.1/8",
        "::1/129",     "fd00::1/8",   "localhost",   "10.0.0.0/8,", "10.0.0.0/8,,::1",
        ",",           " 10.0.0.0/8", "10.0.0",      "10.0.0.0/+8", NULL};
    struct webhook_ranges listed;
    struct err err = {0};
    for (int i = 0; texts[i] != NULL; i++) {
        int r = webhook_ranges_parse(texts[i], &err, &listed);
        if (r != (strcmp(texts[i], "10.0.0.0/8,") == 0 ? 0 : ESP_EINVAL))
            fail_msg("\"%s\": %d", texts[i], r);
    }
    char many[1024] = "";
    for (int i = 0; i <= WEBHOOK_RANGES_MAX; i++)
        strcat(many, "10.0.0.1,");
    assert_int_equal(webhook_ranges_parse(many, &err, &listed), ESP_ELIMIT);
    assert_int_equal(webhook_ranges_parse("", &err, &listed), 0);
    assert_int_equal(listed.n, 0);
}

static void test_hosts_of_urls(void **state) {
    assert_null(webhook_host_refusal("example.org", &none));
    assert_null(webhook_host_refusal("10.example.org", &none));
    assert_null(webhook_host_refusal("8.8.8.8", &none));
    assert_non_null(webhook_host_refusal("127.0.0.1", &none));
    assert_non_null(webhook_host_refusal("[::1]", &none));
    assert_non_null(webhook_host_refusal("[fe80::1%eth0]", &none));
    assert_null(webhook_host_refusal("[2606:4700::1111]", &none));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public_addresses_may),
        cmocka_unit_test(test_special_addresses_may_not), cmocka_unit_test(test_what_is_listed_may),
        cmocka_unit_test(test_ranges_that_make_no_sense), cmocka_unit_test(test_hosts_of_urls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
