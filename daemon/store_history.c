#include "daemon/store_history.h"

/* How far back the lists look and reach. */
#define LOOKED_AT "2000"
#define REFERENCES "200"
#define ROWS "100"

/* The newest measurements of the board's profiles, found by the index alone: rows hold graphs. */
#define NEWEST                                                                                     \
    "(SELECT q.id AS newest, p.name AS profile_name FROM profiles p JOIN measurements q INDEXED "  \
    "BY measurements_profile ON q.profile = p.id WHERE p.device = ?1 ORDER BY q.id DESC "          \
    "LIMIT " LOOKED_AT ") CROSS JOIN measurements m ON m.id = newest "
/* What a board tells is text until it is looked at. */
#define NUMBER(path)                                                                               \
    "iif(json_type(r.data, '" path "') IN ('integer', 'real'), json_extract(r.data, '" path        \
    "'), NULL)"
#define BEFORE NUMBER("$.reference.before_us")
#define AFTER NUMBER("$.reference.after_us")
#define WHAT "coalesce(m.arch, m.signature, 'reference network')"

#define TEMPERATURE NUMBER("$.environment.after.temperature_c")
#define FREQUENCY NUMBER("$.environment.after.frequency_khz")

/* Temperature and frequency as the last result that counts told them. */
static int environment(struct sql *sql, const char *device, struct err *err, cJSON **ret_doc) {
    return sql_get_row(sql, err, ret_doc,
                       "SELECT r.created_us AS \"at@time\", " TEMPERATURE
                       " AS temperature_c, " FREQUENCY " AS frequency_khz FROM " NEWEST
                       "JOIN results r ON r.measurement = m.id AND "
                       "r.counted WHERE m.state = 'accepted' ORDER BY m.id DESC LIMIT 1",
                       "t", device);
}

/* The environments that its profiles were in, each with a table and a noise floor of its own, and
 * what the reference network took there. */
static int revisions(struct sql *sql, const char *device, struct err *err, cJSON **ret_rows) {
    return sql_get_rows(
        sql, err, ret_rows,
        "SELECT v.created_us AS \"at@time\", p.name AS profile, v.id AS revision, v.id = "
        "p.revision "
        "AS \"current@bool\", v.reference_us, v.noise FROM profiles p JOIN profile_revisions v ON "
        "v.profile = p.id WHERE p.device = ?1 ORDER BY v.created_us DESC, v.id DESC "
        "LIMIT " ROWS,
        "t", device);
}

/* The open lease, the item of it that is being measured (or is to be first), and a job that asked
 * for that. */
static int holder(struct sql *sql, const char *device, struct err *err, cJSON **ret_doc) {
    return sql_get_row(
        sql, err, ret_doc,
        "SELECT l.id AS lease, l.created_us AS \"since@time\", m.id AS measurement, p.name AS "
        "profile, m.kind, " WHAT " AS what, m.method, coalesce((SELECT min(q.job) FROM "
        "measure_requests q WHERE q.measurement = m.id), (SELECT min(t.job) FROM table_entries e "
        "JOIN tables t ON t.id = e.table_id WHERE e.measurement = m.id)) AS job FROM leases l JOIN "
        "lease_items i ON i.lease = l.id JOIN measurements m ON m.id = i.measurement AND m.attempt "
        "= i.attempt AND m.state IN ('leased', 'running') JOIN profiles p ON p.id = m.profile "
        "WHERE l.device = ?1 AND l.state IN ('granted', 'acked') ORDER BY i.position LIMIT 1",
        "t", device);
}

/* Coverage of the tables of its profiles' current revisions. */
static int tables(struct sql *sql, const char *device, struct err *err, cJSON **ret_rows) {
    return sql_get_rows(
        sql, err, ret_rows,
        "SELECT t.id, p.name AS profile, t.space, t.method, count(e.signature) AS needed, "
        "coalesce(sum(m.state = 'accepted'), 0) AS measured, coalesce(sum(m.state = 'failed'), 0) "
        "AS failed FROM profiles p JOIN tables t ON t.profile_revision = "
        "p.revision LEFT JOIN table_entries e ON e.table_id = t.id LEFT JOIN measurements m ON "
        "m.id "
        "= e.measurement WHERE p.device = ?1 GROUP BY t.id ORDER BY t.id DESC LIMIT 100",
        "t", device);
}

/* What the reference network took: alone, or before and after another one. */
static int references(struct sql *sql, const char *device, struct err *err, cJSON **ret_rows) {
    return sql_get_rows(
        sql, err, ret_rows,
        "SELECT * FROM (SELECT r.created_us AS \"at@time\", profile_name AS profile, m.id AS "
        "measurement, CASE m.kind WHEN 'reference' THEN m.median_us ELSE (" BEFORE " + " AFTER
        ") / 2.0 END AS us, " AFTER " / nullif(" BEFORE " * 1.0, 0) - 1 AS drift FROM " NEWEST
        "JOIN results r ON r.measurement = m.id AND r.counted WHERE m.state = 'accepted' AND "
        "(m.kind = 'reference' OR (" BEFORE " > 0 AND " AFTER " > 0)) ORDER BY r.id "
        "DESC LIMIT " REFERENCES ")",
        "t", device);
}

/* Results that count for nothing, and leases that were lost. */
static int failures(struct sql *sql, const char *device, struct err *err, cJSON **ret_rows) {
    return sql_get_rows(
        sql, err, ret_rows,
        "SELECT at_us AS \"at@time\", kind, measurement, attempt, profile, what, message FROM "
        "(SELECT r.created_us AS at_us, coalesce(r.doubt, iif(r.status = 'crashed' AND "
        "json_extract(r.data, '$.failure') = 'timeout', 'timeout', r.status)) AS kind, m.id AS "
        "measurement, r.attempt, "
        "p.name AS profile, " WHAT " AS what, "
        "CAST(coalesce(json_extract(r.data, '$.message'), '') AS TEXT) AS message FROM (SELECT "
        "f.* FROM results f INDEXED BY results_failed WHERE f.status NOT IN ('ok', 'noisy') OR "
        "f.doubt IS NOT NULL ORDER BY f.id DESC LIMIT " LOOKED_AT ") r CROSS JOIN measurements m "
        "ON m.id = r.measurement CROSS JOIN profiles p ON p.id = m.profile WHERE p.device = ?1 "
        "UNION ALL SELECT t.at_us, 'lost', m.id, NULL, profile_name, " WHAT
        ", 'the board was not heard of in time, or was started anew' FROM " NEWEST
        "JOIN transitions t ON t.subject = m.id AND t.machine = 'measurement' AND t.event = "
        "'lose') ORDER BY at_us DESC LIMIT " ROWS,
        "t", device);
}

static int transitions(struct sql *sql, const char *device, struct err *err, cJSON **ret_rows) {
    return sql_get_rows(sql, err, ret_rows,
                        "SELECT at_us AS \"at@time\", from_state AS \"from\", to_state AS \"to\", "
                        "event FROM transitions WHERE subject = ?1 AND machine = 'health' ORDER BY "
                        "id DESC LIMIT " ROWS,
                        "t", device);
}

int store_device_history(struct sql *sql, const char *device, struct err *err, cJSON **ret_doc) {
    static const struct {
        const char *key;
        int (*read)(struct sql *sql, const char *device, struct err *err, cJSON **ret_doc);
    } parts[] = {{"environment", environment}, {"holder", holder},         {"tables", tables},
                 {"revisions", revisions},     {"references", references}, {"failures", failures},
                 {"transitions", transitions}};
    cJSON *doc = cJSON_CreateObject();
    int r = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && r == 0; i++) {
        cJSON *part = NULL;
        r = parts[i].read(sql, device, err, &part);
        if (r == 0)
            cJSON_AddItemToObject(doc, parts[i].key, part != NULL ? part : cJSON_CreateNull());
    }
    if (r != 0) {
        cJSON_Delete(doc);
        return r;
    }
    *ret_doc = doc;
    return 0;
}
