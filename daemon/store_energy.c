#include "daemon/store_energy.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "daemon/store_devices.h"
#include "space/graph.h"

/* Of a profile; a search keeps those that it goes by in its own spec. */
enum { VERSIONS_KEPT = 20 };

/* clang-format off */
#define COLUMNS                                                                                    \
    "id, profile, " STORE_PROFILE_NAME("energy_prices") ", "                                       \
    "profile_revision, version, data AS \"data@json\", created_us AS \"created_at@time\""
/* clang-format on */

static int read_network(const struct sql_rows *rows, struct err *err,
                        struct energy_network *ret_network) {
    const char *text = sql_text(rows, 0);
    struct graph *graph = NULL;
    struct cost cost;
    cJSON *doc = NULL;
    int r = json_parse(text, strlen(text), NULL, err, &doc);
    if (r == 0)
        r = graph_from_json(doc, "", err, &graph);
    if (r == 0)
        r = graph_cost(graph, 4, err, &cost);
    if (r == 0)
        *ret_network = (struct energy_network){.macs = (double)cost.macs,
                                               .traffic_bytes = (double)cost.traffic_bytes,
                                               .measured_uj = sql_real(rows, 1)};
    cJSON_Delete(doc);
    free(graph);
    return r;
}

int store_energy_revision(struct sql *sql, const char *profile, struct err *err,
                          char ret_revision[ID_MAX]) {
    int r = sql_get_text(sql, err, ret_revision, ID_MAX,
                         "SELECT revision FROM profiles WHERE id = ?1", "t", profile);
    if (r == 0 && ret_revision[0] == '\0')
        r = err_set(err, ESP_EMISSING, "/profile", "the profile has no revision yet");
    return r;
}

int store_energy_networks(struct sql *sql, const char *profile, struct err *err,
                          char ret_revision[ID_MAX], struct energy_network **ret_networks,
                          size_t *ret_n) {
    struct sql_rows rows;
    size_t n = 0;
    int r = store_energy_revision(sql, profile, err, ret_revision);
    struct energy_network *networks = mem_array(ENERGY_NETWORKS_MOST, sizeof(*networks));
    if (networks == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (r == 0) {
        for (sql_query(
                 sql, &rows,
                 "SELECT graph, avg(energy_uj) FROM measurements WHERE profile = ?1 AND "
                 "profile_revision = ?2 AND kind = 'network' AND state = 'accepted' AND aside "
                 "= 0 AND energy_uj > 0 GROUP BY graph_id ORDER BY max(id) DESC LIMIT ?3",
                 "tti", profile, ret_revision, (int64_t)ENERGY_NETWORKS_MOST);
             r == 0 && sql_next(&rows);)
            r = read_network(&rows, err, &networks[n++]);
        int ended = sql_end(&rows, r == 0 ? err : NULL);
        r = r == 0 ? ended : r;
    }
    if (r != 0) {
        free(networks);
        return r;
    }
    *ret_networks = networks;
    *ret_n = n;
    return 0;
}

/* Whether prices e were given and are still the newest that anybody asked for: they stand until
 * somebody gives others or asks for a fit, whatever searches fit on their way. */
#define GIVEN_IN_FORCE                                                                             \
    "(json_extract(e.data, '$.n') = 0 AND e.version = (SELECT max(a.version) FROM energy_prices "  \
    "a WHERE a.profile = e.profile AND a.profile_revision = e.profile_revision AND "               \
    "json_extract(a.data, '$.search') IS NULL))"

/* The newest version's number, and the id of the same prices: of that version, of a search that
 * tells them again as it goes through what it did, or given ones that stand. "" where there are
 * none. */
static int find_equal(struct sql *sql, const char *profile, const char *revision, const char *text,
                      struct err *err, int64_t *ret_version, char ret_id[ID_MAX]) {
    bool found;
    *ret_version = 0;
    int r = sql_get_int(sql, err, ret_version, &found,
                        "SELECT max(version) FROM energy_prices WHERE profile = ?1", "t", profile);
    return r != 0 ? r
                  : sql_get_text(sql, err, ret_id, ID_MAX,
                                 "SELECT e.id FROM energy_prices e WHERE e.profile = ?1 AND "
                                 "e.profile_revision = ?3 AND e.data = ?4 AND (e.version = ?2 OR "
                                 "json_extract(e.data, '$.search') IS NOT NULL OR " GIVEN_IN_FORCE
                                 ") ORDER BY e.version DESC LIMIT 1",
                                 "titt", profile, *ret_version, revision, text);
}

int store_energy_add(struct store_tx *tx, const char *profile, const char *revision,
                     const cJSON *data, struct err *err, char ret_id[ID_MAX]) {
    struct sql *sql = store_tx_sql(tx);
    int64_t version = 0;
    char *text = json_print(data);
    if (text == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    int r = find_equal(sql, profile, revision, text, err, &version, ret_id);
    if (r == 0 && ret_id[0] == '\0') {
        id_make("ep_", ret_id);
        r = sql_run(sql, err, NULL,
                    "INSERT INTO energy_prices (id, profile, profile_revision, version, data, "
                    "created_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    "tttiti", ret_id, profile, revision, version + 1, text, store_tx_now_us(tx));
        if (r == 0)
            r = sql_run(sql, err, NULL,
                        "DELETE FROM energy_prices AS e WHERE e.profile = ?1 AND e.version <= ?2 "
                        "AND NOT (e.profile_revision = ?3 AND " GIVEN_IN_FORCE ")",
                        "tit", profile, version + 1 - VERSIONS_KEPT, revision);
    }
    free(text);
    return r;
}

int store_energy_add_found(struct store_tx *tx, const char *search, const cJSON *event,
                           struct err *err) {
    const char *profile, *revision;
    struct energy_fit fit;
    char id[ID_MAX];
    int r = json_string(event, "", "profile_id", 1, ID_MAX - 1, err, &profile);
    if (r == 0)
        r = json_string(event, "", "profile_revision", 1, 96, err, &revision);
    if (r == 0)
        r = energy_fit_from_json(event, "", err, &fit);
    if (r != 0)
        return r;
    cJSON *data = cJSON_Duplicate(event, true);
    cJSON_DeleteItemFromObjectCaseSensitive(data, "profile_id");
    cJSON_DeleteItemFromObjectCaseSensitive(data, "profile_revision");
    r = cJSON_AddStringToObject(data, "search", search) != NULL
            ? store_energy_add(tx, profile, revision, data, err, id)
            : err_set(err, ESP_ENOMEM, NULL, "out of memory");
    cJSON_Delete(data);
    return r;
}

int store_energy_get(struct sql *sql, const char *id, struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL;
    int r =
        sql_get_row(sql, err, &doc, "SELECT " COLUMNS " FROM energy_prices WHERE id = ?1", "t", id);
    if (r == 0 && doc == NULL)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there are no prices of energy \"%.60s\"", id);
    if (r == 0)
        r = sql_spread(doc, "data", err);
    if (r == 0)
        *ret_doc = doc;
    else
        cJSON_Delete(doc);
    return r;
}

int store_energy_list(struct sql *sql, const char *profile, const struct sql_page_args *page,
                      struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL;
    int r = sql_page(sql, err, page, "id", &doc,
                     "SELECT " COLUMNS " FROM energy_prices WHERE (?1 IS NULL OR id < ?1) AND (?3 "
                     "IS NULL OR profile = ?3) ORDER BY id DESC LIMIT ?2",
                     "t", profile);
    return r != 0 ? r : sql_spread_all(doc, "data", err, ret_doc);
}

int store_energy_in_force(struct sql *sql, const char *profile, struct err *err, cJSON **ret_doc,
                          struct energy_fit *ret_fit) {
    char id[ID_MAX];
    cJSON *doc = NULL;
    *ret_doc = NULL;
    int r = sql_get_text(sql, err, id, sizeof(id),
                         "SELECT e.id FROM energy_prices e JOIN profiles p ON p.id = e.profile AND "
                         "p.revision = e.profile_revision WHERE e.profile = ?1 ORDER "
                         "BY " GIVEN_IN_FORCE " DESC, e.version DESC LIMIT 1",
                         "t", profile);
    if (r != 0 || id[0] == '\0')
        return r;
    r = store_energy_get(sql, id, err, &doc);
    if (r == 0)
        r = energy_fit_from_json(doc, "", err, ret_fit);
    if (r == 0)
        *ret_doc = doc;
    else
        cJSON_Delete(doc);
    return r;
}
