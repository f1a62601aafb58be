/* What a search has asked its boards for, and what they said of it. */
#include "daemon/job/search_run.h"

#include <math.h>
#include <stdlib.h>

/* --- by subnet: each request is found under its own --- */

struct question {
    const struct search_run *run;
    const struct arch *arch;
    int board, take;
};

static uint64_t hash_arch(const struct arch *arch) {
    return map_hash(arch, sizeof *arch);
}

static bool is_of_arch(const void *context, uint32_t item) {
    const struct question *question = context;
    return arch_equal(&question->run->requests[item].arch, question->arch);
}

static bool is_request(const void *context, uint32_t item) {
    const struct question *question = context;
    const struct search_request *request = &question->run->requests[item];
    return request->board == question->board && request->take == question->take &&
           is_of_arch(context, item);
}

const struct search_request *search_find_request(const struct search_run *run, int board,
                                                 const struct arch *arch, int take) {
    const struct question question = {run, arch, board, take};
    int64_t at = map_find(&run->request_index, hash_arch(arch), is_request, &question);
    return at >= 0 ? &run->requests[at] : NULL;
}

bool search_asked(const struct search_run *run, const struct arch *arch) {
    const struct question question = {.run = run, .arch = arch};
    return map_find(&run->request_index, hash_arch(arch), is_of_arch, &question) >= 0;
}

static int grow(struct search_run *run) {
    int capacity = run->requests_capacity ? 2 * run->requests_capacity : 64;
    struct search_request *grown = reallocarray(run->requests, (size_t)capacity, sizeof *grown);
    if (!grown)
        return ESP_ENOMEM;
    run->requests = grown;
    run->requests_capacity = capacity;
    return 0;
}

int search_add_request(struct search_run *run, int board, const struct arch *arch, int take,
                       struct err *err) {
    int at = run->n_requests;
    int rc = at == run->requests_capacity ? grow(run) : 0;
    if (rc == 0)
        rc = map_add(&run->request_index, hash_arch(arch), (uint32_t)at);
    if (rc != 0)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for measurement requests");
    run->requests[at] = (struct search_request){at + 1, board, run->session, take, *arch};
    run->n_requests++;
    return 0;
}

/* --- what came of them --- */

const struct measured *search_accepted(const struct search_run *run, int board,
                                       const struct arch *arch, int take) {
    const struct search_request *request = search_find_request(run, board, arch, take);
    const struct measured *m = request ? facts_measured(run->facts, request->request) : NULL;
    return m && m->accepted ? m : NULL;
}

int search_measured(const struct search_run *run, int board, const struct arch *arch,
                    struct measured *ret_measured) {
    const struct measured *first = search_accepted(run, board, arch, 1);
    const struct measured *second = search_accepted(run, board, arch, 2);
    if (!first && !second)
        return 0;
    *ret_measured = first ? *first : *second;
    if (!first || !second)
        return 1;
    ret_measured->median_us = (first->median_us + second->median_us) / 2;
    ret_measured->low_us = fmin(first->low_us, second->low_us);
    ret_measured->high_us = fmax(first->high_us, second->high_us);
    ret_measured->sd_us = sqrt((first->sd_us * first->sd_us + second->sd_us * second->sd_us) / 2);
    return 2;
}
