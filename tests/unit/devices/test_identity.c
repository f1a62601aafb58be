/* What a worker keeps of itself: words of its starts, tokens to come, and how it trusts its daemon.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/identity.h"

static const char url[] = "http://10.0.0.1:8080";

static int set_up(void **state) {
    char *dir = strdup("/tmp/espalier-identity-XXXXXX");
    assert_non_null(mkdtemp(dir));
    *state = dir;
    return 0;
}

static int tear_down(void **state) {
    static const char *const names[] = {"worker.json", "enrolment.json"};
    char path[128];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s", (char *)*state, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(*state), 0);
    free(*state);
    return 0;
}

/* As a start of the worker finds it. */
static struct identity *load(const char *dir, const char *daemon) {
    struct identity *identity = calloc(1, sizeof(*identity));
    struct err err = {0};
    assert_non_null(identity);
    assert_int_equal(identity_load(identity, dir, daemon, &err), 0);
    return identity;
}

static struct identity *enrolled(const char *dir) {
    struct identity *identity = load(dir, url);
    struct err err = {0};
    assert_int_equal(identity_make_secret(identity, &err), 0);
    assert_int_equal(identity_begin(identity, &err), 0);
    strcpy(identity->device_id, "dev_1");
    assert_int_equal(identity_begun(identity, &err), 0);
    return identity;
}

static void a_word_is_kept_before_it_is_said(void **state) {
    struct err err = {0};
    struct identity *first = load(*state, url), *again;
    assert_int_equal(identity_make_secret(first, &err), 0);
    assert_int_equal(identity_begin(first, &err), 0);
    assert_true(strlen(first->next_instance) >= 40);
    again = load(*state, url); /* killed before it heard of its enrolment */
    assert_string_equal(again->token, first->token);
    assert_string_equal(again->next_instance, first->next_instance);
    assert_int_equal(identity_make_secret(again, &err), 0);
    assert_int_equal(identity_begin(again, &err), 0);
    assert_string_equal(again->next_instance, first->next_instance);
    strcpy(again->device_id, "dev_1");
    assert_int_equal(identity_begun(again, &err), 0);
    free(first);
    first = load(*state, NULL);
    assert_string_equal(first->instance, again->instance);
    assert_string_equal(first->next_instance, "");
    assert_int_equal(identity_begin(first, &err), 0); /* its next start */
    assert_string_not_equal(first->next_instance, first->instance);
    free(again);
    again = load(*state, NULL);
    assert_string_equal(again->next_instance, first->next_instance);
    assert_string_equal(again->instance, first->instance);
    free(again);
    free(first);
}

static void a_token_to_come_is_kept_until_it_is_taken(void **state) {
    struct err err = {0};
    struct identity *identity = enrolled(*state), *again;
    char old[IDENTITY_TOKEN_SIZE];
    strcpy(old, identity->token);
    assert_int_equal(identity_next_token(identity, &err), 0);
    again = load(*state, NULL);
    assert_string_equal(again->token, old);
    assert_string_equal(again->next_token, identity->next_token);
    assert_int_equal(identity_next_token(again, &err), 0); /* no third one */
    assert_string_equal(again->next_token, identity->next_token);
    assert_int_equal(identity_take_token(again, &err), 0);
    assert_string_equal(again->token, identity->next_token);
    free(again);
    again = load(*state, NULL);
    assert_string_equal(again->token, identity->next_token);
    assert_string_equal(again->next_token, "");
    free(again);
    free(identity);
}

static void trust_is_kept_for_this_daemon_alone(void **state) {
    struct err err = {0};
    struct identity *identity = enrolled(*state);
    identity_trust(identity, "/no/such/file", "sha256//x=", true);
    identity_trust(identity, NULL, NULL, false); /* what is not said stays */
    assert_int_equal(identity_save(identity, &err), 0);
    free(identity);
    identity = load(*state, url);
    assert_string_equal(identity->ca_file, "/no/such/file");
    assert_string_equal(identity->pinned_key, "sha256//x=");
    assert_true(identity->plain);
    free(identity);
    identity = load(*state, "http://10.0.0.2:8080");
    assert_string_equal(identity->url, "http://10.0.0.2:8080");
    assert_string_equal(identity->ca_file, "");
    assert_string_equal(identity->pinned_key, "");
    assert_false(identity->plain);
    free(identity);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_word_is_kept_before_it_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_token_to_come_is_kept_until_it_is_taken, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(trust_is_kept_for_this_daemon_alone, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
