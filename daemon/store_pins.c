#include "daemon/store_pins.h"

#include "daemon/store_supernets.h"

int store_pin_add(struct store_tx *tx, const char *supernet, const char *arch, const char *arch_id,
                  struct err *err) {
    struct sql *sql = store_tx_sql(tx);
    int64_t n = 0;
    int r = sql_run(sql, err, NULL,
                    "INSERT INTO pins (supernet, arch_id, arch, created_us) VALUES (?1, ?2, ?3, "
                    "?4) ON CONFLICT (supernet, arch_id) DO NOTHING",
                    "ttti", supernet, arch_id, arch, store_tx_now_us(tx));
    if (r == 0)
        r = sql_get_int(sql, err, &n, NULL, "SELECT count(*) FROM pins WHERE supernet = ?1", "t",
                        supernet);
    if (r == 0 && n > PINS_MAX)
        r = err_set(err, ESP_ELIMIT, "/archs", "a supernet has at most %d pinned networks",
                    PINS_MAX);
    return r;
}

int store_pin_remove(struct store_tx *tx, const char *supernet, const char *arch_id,
                     struct err *err) {
    return sql_run(store_tx_sql(tx), err, NULL,
                   "DELETE FROM pins WHERE supernet = ?1 AND arch_id = ?2", "tt", supernet,
                   arch_id);
}

/* The newest recalibrated score of a pin on its supernet's own data set. */
#define PIN_SCORE(split)                                                                           \
    "(SELECT json_extract(data, '$.top1') FROM evaluations e WHERE e.supernet = pins.supernet "    \
    "AND e.arch_id = pins.arch_id AND e.split = '" split "' AND " STORE_SCORE_OF(                  \
        "(SELECT s.dataset FROM supernets s WHERE s.id = e.supernet)") " ORDER BY e.id DESC "      \
                                                                       "LIMIT 1)"

int store_pin_list(struct sql *sql, const char *supernet, const struct sql_page_args *page,
                   struct err *err, cJSON **ret_doc) {
    return sql_page(
        sql, err, page, "id", ret_doc,
        "SELECT id, arch, arch_id, " PIN_SCORE("validation") " AS top1, " PIN_SCORE(
            "test") " AS test_top1, created_us AS \"created_at@time\" FROM pins WHERE "
                    "(?1 IS NULL OR id < cast(?1 AS INTEGER)) AND supernet = ?3 ORDER BY id DESC "
                    "LIMIT ?2",
        "t", supernet);
}

int store_arch_is_kept(struct sql *sql, const char *supernet, const char *arch_id, struct err *err,
                       bool *ret_kept) {
    int64_t kept = 0;
    int r = sql_get_int(sql, err, &kept, NULL,
                        "SELECT EXISTS (SELECT 1 FROM pins WHERE supernet = ?1 AND arch_id = ?2) "
                        "OR EXISTS (SELECT 1 FROM exports WHERE supernet = ?1 AND arch_id = ?2 AND "
                        "format = 'onnx' AND state IN ('queued', 'ready'))",
                        "tt", supernet, arch_id);
    if (r == 0)
        *ret_kept = kept != 0;
    return r;
}
